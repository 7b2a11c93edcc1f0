// SPDX-License-Identifier: Apache-2.0
#include "epro/report_list.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/rfc3339.hpp"
#include "ingest/json_text.hpp"
#include "net/response.hpp"
#include "runtime/shard.hpp"
#include "storage/page_cursor.hpp"
#include "telemetry/log.hpp"

namespace trialwire::epro {
namespace {

using ingest::FieldErrors;
using ingest::Rule;

constexpr std::string_view json = "application/json";
constexpr std::uint32_t errors_listed_max = 20;

/// Names a client may use, in the order of the bits that say that one was seen.
constexpr std::array<std::string_view, 6> names{"patientId", "trialId", "since",
                                                "until",     "limit",   "cursor"};

void parse_id(std::string_view name, const std::string& value, std::size_t characters_max,
              FieldErrors& errors, std::optional<std::string>& to) {
  if (value.empty() || ingest::count_characters(value) > characters_max) {
    errors.add(name, Rule::length, "must be 1 to {} characters", characters_max);
  } else {
    to = value;
  }
}

void parse_time(std::string_view name, std::string value, FieldErrors& errors,
                std::optional<std::int64_t>& to) {
  // "…T08:15:30+01:00" in a query means a space to those who take the standard by its word, and a
  // plus to those who type it. No RFC 3339 time of ours has a space.
  std::ranges::replace(value, ' ', '+');
  auto instant = parse_rfc3339(value);
  if (!instant && rfc3339_year_out_of_range(value)) {
    errors.add(name, Rule::range, "must be in the years {} to {}", rfc3339_year_min,
               rfc3339_year_max);
  } else if (!instant) {
    errors.add(name, Rule::format, "must be an RFC 3339 time with offset");
  } else {
    to = instant->unix_ns;
  }
}

void parse_limit(std::string_view value, std::uint32_t limit_max, FieldErrors& errors,
                 std::uint32_t& to) {
  std::uint32_t limit = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), limit);
  if (error != std::errc() || end != value.data() + value.size() || limit < 1 ||
      limit > limit_max) {
    errors.add("limit", Rule::range, "must be an integer from 1 to {}", limit_max);
  } else {
    to = limit;
  }
}

void fail_with(net::ResponseWriter& writer, const FieldErrors& errors) {
  std::string summary;
  std::string detail;
  errors.append_summary(summary);
  errors.append_json(detail);
  writer.problem(ErrorCode::invalid_argument, summary, detail);
}

/// What a client may know of a failed query: nothing of files and statements.
std::string_view public_text(const Error& error) {
  switch (error.code) {
    case ErrorCode::deadline_exceeded:
      return "the query took too long: narrow its filters";
    case ErrorCode::overloaded:
      return "too many queries at once";
    case ErrorCode::unavailable:
      return "the database cannot be reached";
    case ErrorCode::cancelled:
      return "the query was cancelled";
    default:
      return "the query failed";
  }
}

/// Shared by the shard, which answers, and the worker, which asks: either may be done first.
class ListAnswer;
struct Question {
  storage::Principal principal;
  storage::ReportFilter filter;
  std::stop_source stop;
  std::chrono::steady_clock::time_point deadline;
  ListAnswer* answer = nullptr;  // shard's thread only
};

class ListAnswer final : public net::DeferredAnswer {
 public:
  explicit ListAnswer(std::shared_ptr<Question> question) : question_(std::move(question)) {}

  void answered(Result<storage::ReportPage> page) {
    page_ = std::move(page);
    complete();
  }
  void render(net::ResponseWriter& writer) override {
    if (page_) {
      writer.start(200).body(json, page_->json);
    } else if (page_.error().code == ErrorCode::invalid_argument) {
      FieldErrors errors(1);
      errors.add("cursor", Rule::format, "is not the `next` of a page of this list");
      fail_with(writer, errors);
    } else {
      writer.problem(page_.error().code, public_text(page_.error()));
    }
  }
  bool abandon() noexcept override {
    question_->stop.request_stop();
    return false;
  }

 private:
  std::shared_ptr<Question> question_;
  Result<storage::ReportPage> page_;
};

/// Never throws: an answer that does not come would be waited for.
Result<storage::ReportPage> ask(storage::ReportQuery& query, const Question& question) noexcept {
  Result<storage::ReportPage> page;
  try {
    page = query.reports(question.principal, question.filter,
                         {.stop = question.stop.get_token(), .deadline = question.deadline});
  } catch (const std::exception& thrown) {
    page = fail(ErrorCode::internal, thrown.what());
  }
  if (!page && page.error().code != ErrorCode::invalid_argument &&
      page.error().code != ErrorCode::cancelled) {
    telemetry::log(telemetry::LogLevel::warn, "epro", "a list of reports failed",
                   {{"code", traits(page.error().code).label},
                    {"error", std::string_view(page.error().text)}});
  }
  return page;
}

}  // namespace

storage::Principal anonymous_only(const net::ConnectionInfo& connection) {
  if (connection.principal.empty()) return storage::Principal::anonymous();
  storage::Principal nobody;
  nobody.subject = connection.principal;
  return nobody;
}

storage::ReportFilter parse_report_filter(std::string_view text, const ReportListOptions& options,
                                          FieldErrors& errors) {
  storage::ReportFilter filter;
  filter.limit = options.limit_default;
  unsigned seen = 0;
  while (!text.empty()) {
    std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    if (pair.empty()) continue;
    std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = net::url_decode(pair.substr(0, equals), true);
    auto value = net::url_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    auto known = name ? std::ranges::find(names, *name) : names.end();
    if (known == names.end()) {
      // Not repeated: it may be anything.
      errors.add("query", Rule::unknown, "has a parameter that is not one of {}",
                 fmt::join(names, ", "));
      continue;
    }
    unsigned bit = 1U << (known - names.begin());
    if (!value) {
      errors.add(*known, Rule::encoding, "has a malformed percent-encoding");
    } else if ((seen & bit) != 0) {
      errors.add(*known, Rule::duplicate, "may be given once");
    } else if (*known == "patientId") {
      parse_id(*known, *value, options.id_characters_max, errors, filter.patient_id);
    } else if (*known == "trialId") {
      parse_id(*known, *value, options.id_characters_max, errors, filter.trial_id);
    } else if (*known == "since") {
      parse_time(*known, *value, errors, filter.since_ns);
    } else if (*known == "until") {
      parse_time(*known, *value, errors, filter.until_ns);
    } else if (*known == "limit") {
      parse_limit(*value, options.limit_max, errors, filter.limit);
    } else if (!storage::has_page_cursor_form(*value)) {
      errors.add(*known, Rule::format, "is not the `next` of a page of this list");
    } else {
      filter.cursor = *value;
    }
    seen |= bit;
  }
  if (filter.since_ns && filter.until_ns && *filter.since_ns >= *filter.until_ns) {
    errors.add("until", Rule::range, "must be after since");
  }
  return filter;
}

ReportList::ReportList(ReportListOptions options, storage::ReportQuery& query,
                       runtime::WorkerPool& workers, PrincipalOf principal_of)
    : options_(options), query_(query), workers_(workers), principal_of_(std::move(principal_of)) {}

void ReportList::handle(net::Exchange& exchange) {
  FieldErrors errors(errors_listed_max);
  auto question = std::make_shared<Question>();
  question->filter = parse_report_filter(exchange.request().query, options_, errors);
  if (!errors.empty()) {
    fail_with(exchange.writer(), errors);
    return;
  }
  question->principal = principal_of_(exchange.connection());
  question->deadline = std::chrono::steady_clock::now() + options_.query_timeout;
  bool accepted = workers_.submit([&query = query_, &shard = exchange.shard(), question] {
    auto page = std::make_shared<Result<storage::ReportPage>>(ask(query, *question));
    shard.post([question, page] { question->answer->answered(std::move(*page)); });
  });
  if (!accepted) {
    exchange.fail({ErrorCode::overloaded, "too many queries at once"});
    return;
  }
  // The worker may be done already, but what it posts runs after this.
  question->answer = &exchange.defer<ListAnswer>(question);
}

Result<void> add_list_routes(net::Router& router, ReportList& list) {
  return router.add(net::Method::get, "/v1/epro/reports",
                    [&list](net::Exchange& exchange) { list.handle(exchange); });
}

}  // namespace trialwire::epro
