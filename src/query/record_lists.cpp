// SPDX-License-Identifier: Apache-2.0
#include "query/record_lists.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "base/rfc3339.hpp"
#include "ingest/field_errors.hpp"
#include "net/response.hpp"
#include "query/audit_reason.hpp"
#include "query/list_filter.hpp"
#include "runtime/shard.hpp"
#include "storage/json_text.hpp"
#include "telemetry/log.hpp"

namespace trialwire::query {
namespace {

using ingest::FieldErrors;
using ingest::Rule;
using Clock = std::chrono::steady_clock;

constexpr std::string_view json = "application/json";
constexpr std::uint32_t errors_listed_max = 20;
constexpr std::string_view unaudited_text =
    "the read cannot be written to the audit trail just now, and is not answered";

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
  const ListRoute* route = nullptr;
  storage::Principal principal;
  storage::ListFilter filter;
  std::stop_source stop;
  Clock::time_point deadline;
  bool hurried = false;     // the client waits for less than half of what a query may take
  Clock::time_point began;  // when a worker took it
  std::optional<runtime::Guard::Call> call;  // the worker's, once it was accepted
  ListAnswer* answer = nullptr;              // shard's thread only
  Read read;                                 // likewise: what is audited
};

std::int64_t nanoseconds(Clock::time_point time) noexcept {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

/// One that was cancelled when its time was over ran out of time, as one that noticed it itself.
bool ran_out_of_time(const Question& question, const Result<storage::ListPage>& page) noexcept {
  constexpr std::chrono::milliseconds near{50};  // the connection's deadline and the query's
  if (page) return false;
  if (page.error().code == ErrorCode::deadline_exceeded) return true;
  return page.error().code == ErrorCode::cancelled && Clock::now() + near >= question.deadline;
}

/// `answered_ns`: when the database gave anybody an answer last. One for which no worker was free
/// in time was not asked, and who hardly waits learns nothing of the database.
void judge(Question& question, const Result<storage::ListPage>& page,
           std::int64_t answered_ns) noexcept {
  if (!question.call) return;
  if (!ran_out_of_time(question, page)) {
    question.call->judge(page ? nullptr : &page.error());
  } else if (question.hurried || question.began >= question.deadline ||
             answered_ns >= nanoseconds(question.began)) {
    question.call->withdraw();
  } else {
    question.call->failed();
  }
}

/// The one that the whole answer is of: what was asked for, or all that they may see.
std::string only_one(const std::vector<storage::ListFilter::Equal>& equal, std::string_view column,
                     const std::vector<std::string>& allowed) {
  for (const storage::ListFilter::Equal& one : equal) {
    if (one.column == column) return one.value;
  }
  return allowed.size() == 1 ? allowed.front() : std::string();
}

/// What the list was narrowed by, but for study, site and patient, as a JSON object.
std::string rest_of(const storage::ListFilter& filter, const storage::ListShape& shape) {
  std::string text;
  const auto member = [&text](std::string_view name) {
    text += text.empty() ? '{' : ',';
    storage::append_json_string(text, name);
    text += ':';
  };
  for (const storage::ListFilter::Equal& one : filter.equal) {
    if (one.column == "trial_id" || one.column == "site_id" || one.column == "patient_id") continue;
    const auto known =
        std::ranges::find(shape.parameters, one.column, &storage::ListParameter::column);
    member(known->name);
    storage::append_json_string(text, one.value);
  }
  const auto time = [&](std::string_view name, const std::optional<std::int64_t>& unix_ns) {
    if (!unix_ns) return;
    member(name);
    storage::append_json_string(text, format_rfc3339_ms(*unix_ns));
  };
  time("since", filter.since_ns);
  time("until", filter.until_ns);
  member("limit");
  storage::append_number(text, filter.limit);
  if (!filter.cursor.empty()) {
    member("page");
    text += "\"next\"";
  }
  return text + '}';
}

Read read_of(const ListRoute& route, const Question& question, const net::Exchange& exchange,
             std::string_view why) {
  const auth::Principal& who = exchange.principal();
  const auto& equal = question.filter.equal;
  Read read;
  read.who = who.name;
  read.roles = who.roles;
  read.route = route.path;
  read.study = only_one(equal, "trial_id", question.principal.studies);
  read.site = only_one(equal, "site_id", question.principal.sites);
  read.patient = only_one(equal, "patient_id", {});
  if (read.patient.empty()) read.patient = question.principal.own_patient.value_or("");
  read.filter = rest_of(question.filter, route.shape);
  read.why = why;
  read.origin = exchange.connection().origin;
  return read;
}

/// First the page, then the receipt that the read is durable.
class ListAnswer final : public net::DeferredAnswer, public journal::Waiter {
 public:
  ListAnswer(std::shared_ptr<Question> question, ReadLog& reads, runtime::Shard& shard)
      : question_(std::move(question)), reads_(reads), shard_(shard) {}

  void answered(Result<storage::ListPage> page) {
    page_ = std::move(page);
    if (!page_ || gone_) return complete();
    question_->read.rows = page_->items;
    if (auto admitted = reads_.admit(shard_); !admitted) {
      page_ = std::unexpected(admitted.error());
      unaudited_ = true;
      return complete();
    }
    if (reads_.add(question_->read, shard_, *this)) return;  // may have been answered by now
    page_ = fail(ErrorCode::unavailable, "");
    unaudited_ = true;
    complete();
  }
  void committed(const journal::Receipt& receipt) noexcept override {
    if (receipt.state != journal::Receipt::State::durable) {
      page_ = fail(receipt.error, "");
      unaudited_ = true;
    }
    complete();
  }
  void render(net::ResponseWriter& writer) override {
    if (page_) {
      writer.start(200).body(json, page_->json);
    } else if (unaudited_) {
      writer.problem(ErrorCode::unavailable, unaudited_text);
    } else if (page_.error().code == ErrorCode::invalid_argument) {
      FieldErrors errors(1);
      errors.add("cursor", Rule::format, "is not the `next` of a page of this list");
      fail_with(writer, errors);
    } else {
      writer.problem(page_.error().code, public_text(page_.error()));
    }
  }
  bool abandon() noexcept override {
    gone_ = true;
    question_->stop.request_stop();
    return false;
  }

 private:
  std::shared_ptr<Question> question_;
  ReadLog& reads_;
  runtime::Shard& shard_;
  Result<storage::ListPage> page_;
  bool gone_ = false;       // nobody waits any more
  bool unaudited_ = false;  // the journal did not take it
};

/// Never throws: an answer that does not come would be waited for.
Result<storage::ListPage> ask(storage::RecordQuery& query, const Question& question) noexcept {
  Result<storage::ListPage> page;
  try {
    page = query.list(question.principal, question.route->shape, question.filter,
                      {.stop = question.stop.get_token(), .deadline = question.deadline});
  } catch (const std::exception& thrown) {
    page = fail(ErrorCode::internal, thrown.what());
  }
  if (!page && page.error().code != ErrorCode::invalid_argument &&
      page.error().code != ErrorCode::cancelled) {
    telemetry::log(telemetry::LogLevel::warn, "query", "a list failed",
                   {{"list", question.route->path},
                    {"code", traits(page.error().code).label},
                    {"error", std::string_view(page.error().text)}});
  }
  return page;
}

}  // namespace

storage::Principal visible_to(const auth::Principal& who) {
  using Kind = auth::Named::Kind;
  storage::Principal seen;
  seen.subject = who.name;
  seen.own_patient = who.subject;
  // An empty list of sites is not the same as none: storage would take it for no limit.
  if (who.sites.kind == Kind::listed && who.sites.names.empty()) return seen;
  seen.unrestricted = who.studies.kind == Kind::all;
  if (who.studies.kind == Kind::listed) seen.studies = who.studies.names;
  if (who.sites.kind == Kind::listed) seen.sites = who.sites.names;
  return seen;
}

RecordLists::RecordLists(RecordListOptions options, std::span<const ListRoute> routes,
                         storage::RecordQuery& query, runtime::WorkerPool& workers, ReadLog& reads)
    : options_(options),
      routes_(routes.begin(), routes.end()),
      query_(query),
      workers_(workers),
      reads_(reads) {}

void RecordLists::handle(const ListRoute& route, net::Exchange& exchange) {
  FieldErrors errors(errors_listed_max);
  auto question = std::make_shared<Question>();
  question->route = &route;
  question->filter = parse_list_filter(exchange.request().query, route.shape, errors);
  const std::string_view why = audit_reason(exchange.request(), errors);
  if (!errors.empty()) {
    fail_with(exchange.writer(), errors);
    return;
  }
  if (!reads_.admit(exchange.shard())) {
    exchange.fail({ErrorCode::unavailable, std::string(unaudited_text)});
    return;
  }
  if (options_.guard != nullptr) {
    auto call = options_.guard->begin();
    if (!call) {
      exchange.fail({ErrorCode::unavailable,
                     "the database has not answered queries just now, and is not asked"});
      return;
    }
    question->call.emplace(std::move(call));
  }
  question->principal = visible_to(exchange.principal());
  question->read = read_of(route, *question, exchange, why);
  const std::chrono::milliseconds patience(exchange.request().timeout_ms);
  question->deadline = Clock::now() + std::min(options_.query_timeout, patience);
  question->hurried = patience < options_.query_timeout / 2;
  bool accepted = workers_.submit(
      [&query = query_, answered = answered_ns_, &shard = exchange.shard(), question] {
        question->began = Clock::now();
        auto page = std::make_shared<Result<storage::ListPage>>(ask(query, *question));
        if (*page) answered->store(nanoseconds(Clock::now()), std::memory_order_relaxed);
        judge(*question, *page, answered->load(std::memory_order_relaxed));
        shard.post([question, page] { question->answer->answered(std::move(*page)); });
      });
  if (!accepted) {
    exchange.fail({ErrorCode::overloaded, "too many queries at once"});
    return;
  }
  // The worker may be done already, but what it posts runs after this.
  question->answer = &exchange.defer<ListAnswer>(question, reads_, exchange.shard());
}

void RecordLists::note_answer() noexcept {
  answered_ns_->store(nanoseconds(Clock::now()), std::memory_order_relaxed);
}

Result<void> RecordLists::add_routes(net::Router& router) {
  for (const ListRoute& route : routes_) {
    auto added = router.add(net::Method::get, route.path,
                            [this, &route](net::Exchange& exchange) { handle(route, exchange); },
                            {.scope = auth::Scope::records_read, .role = route.role});
    if (!added) return added;
  }
  return {};
}

}  // namespace trialwire::query
