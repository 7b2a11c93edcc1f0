// SPDX-License-Identifier: Apache-2.0
#include "profile_routes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <ranges>
#include <utility>

#include <fmt/format.h>

#include "audit/entry.hpp"
#include "net/exchange.hpp"
#include "net/response.hpp"
#include "runtime/shard.hpp"
#include "telemetry/log.hpp"
#include "telemetry/profile/symbols.hpp"

namespace trialwire {
namespace {

using std::chrono::seconds;
using telemetry::ProfileKind;

constexpr seconds usual_profile{30}, usual_heap{10}, usual_flame_graph{10};
constexpr std::size_t addresses_max = 10'000;
constexpr std::size_t addresses_bytes_max = 512 << 10;
constexpr std::string_view plain = "text/plain; charset=utf-8";

/// A profile on its way: written down, taken, rendered. Of the control shard.
class ProfileAnswer final : public net::DeferredAnswer, public journal::Waiter {
 public:
  ProfileAnswer(ProfileService& profiles, ProfileRequest request, runtime::Shard& shard)
      : profiles_(profiles), request_(std::move(request)), form_(request_.form), shard_(shard) {
    request_.given_up = given_up_;
  }

  void committed(const journal::Receipt& receipt) noexcept override {
    if (receipt.state == journal::Receipt::State::durable) return begin();
    answered(fail(ErrorCode::unavailable, std::string(act_unaudited)));
  }
  void begin() noexcept {
    if (given_up_->load()) return answered(fail(ErrorCode::unavailable, "nobody waits for it"));
    auto begun =
        profiles_.take(std::move(request_), [this, &shard = shard_](Result<std::string> done) {
          auto result = std::make_shared<Result<std::string>>(std::move(done));
          shard.post([this, result] { answered(std::move(*result)); });
        });
    if (!begun) answered(std::unexpected(begun.error()));
  }

  void render(net::ResponseWriter& writer) override {
    if (!result_) return writer.problem(result_.error().code, result_.error().text);
    writer.start(200).header("X-Content-Type-Options", "nosniff");
    if (form_ == ProfileForm::flame_graph) {
      // Its own script and style, and nothing from anywhere.
      writer.header("Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'");
      writer.body("image/svg+xml", *result_);
    } else {
      writer.header("Content-Disposition", "attachment; filename=\"profile\"");
      writer.body("application/octet-stream", *result_);
    }
  }
  bool abandon() noexcept override {
    given_up_->store(true);
    return false;
  }

 private:
  void answered(Result<std::string> result) noexcept {
    result_ = std::move(result);
    complete();
  }

  ProfileService& profiles_;
  ProfileRequest request_;
  const ProfileForm form_;
  runtime::Shard& shard_;
  // Shared with the profiler's thread.
  const std::shared_ptr<std::atomic<bool>> given_up_ = std::make_shared<std::atomic<bool>>(false);
  Result<std::string> result_;
};

struct Asked {
  ProfileKind kind = ProfileKind::cpu;
  seconds usual{0};
  bool flame_graph = false;
};

struct Profiler {
  ProfileService& service;
  OperatorLog* log;
};

void answer_profile(const Profiler& profiler, const Asked& asked, net::Exchange& exchange) {
  auto& [profiles, log] = profiler;
  auto query = parse_profile_query(exchange.request().query,
                                   std::min(asked.usual, profiles.longest()), profiles.longest());
  if (!query) return exchange.fail(query.error());
  auto why = audit_reason_of(exchange);
  if (!why) return;
  // Known before anything is written down; who comes in between is told so by `take`.
  if (profiles.busy()) return exchange.fail(ProfileService::taken());
  if (log != nullptr && !log->takes_entries()) {
    return exchange.fail({ErrorCode::unavailable, std::string(act_unaudited)});
  }
  ProfileRequest request{.kind = asked.kind, .form = query->form, .time = query->time};
  if (asked.flame_graph) request.form = ProfileForm::flame_graph;
  auto& answer = exchange.defer<ProfileAnswer>(profiles, std::move(request), exchange.shard());
  if (log == nullptr) {
    telemetry::log(telemetry::LogLevel::info, "profile", "taking a profile",
                   {{"seconds", query->time.count()}});
    return answer.begin();
  }
  log->note(exchange,
            {.what = audit::what_command,
             .why = std::move(*why),
             .detail = fmt::format(R"({{"seconds":{}}})", query->time.count()),
             .rows = {}},
            answer);
}

void answer_symbols(net::Exchange& exchange) {
  const net::Request& request = exchange.request();
  const std::string_view asked = request.body.empty() ? request.query : request.body;
  // Any number above 0 says that names are known.
  exchange.respond(200, plain, asked.empty() ? "num_symbols: 1\n" : symbol_lines(asked));
}

void answer_program(net::Exchange& exchange) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  exchange.respond(200, plain, program.string() + "\n");
}

Result<void> add_under(net::Router& router, std::string_view prefix, const Profiler& profiler) {
  auto add = [&](net::Method method, std::string_view name, net::Handler handler,
                 std::size_t body_bytes_max = 0) {
    return router.add(method, fmt::format("{}/pprof/{}", prefix, name), std::move(handler),
                      {.body_bytes_max = body_bytes_max});
  };
  auto profile = [&profiler](ProfileKind kind, seconds usual) {
    return [profiler, asked = Asked{kind, usual}](net::Exchange& exchange) {
      answer_profile(profiler, asked, exchange);
    };
  };
  auto added = add(net::Method::get, "profile", profile(ProfileKind::cpu, usual_profile));
  if (!added) return added;
  added = add(net::Method::get, "heap", profile(ProfileKind::heap, usual_heap));
  if (!added) return added;
  added = add(net::Method::get, "symbol", answer_symbols);
  if (!added) return added;
  added = add(net::Method::post, "symbol", answer_symbols, addresses_bytes_max);
  if (!added) return added;
  return add(net::Method::get, "cmdline", answer_program);
}

}  // namespace

Result<ProfileQuery> parse_profile_query(std::string_view query, seconds usual, seconds longest) {
  ProfileQuery parsed{.time = usual};
  for (const auto part : std::views::split(query, '&')) {
    const std::string_view text(part);
    if (text.empty()) continue;
    const std::size_t equals = std::min(text.find('='), text.size());
    const std::string_view name = text.substr(0, equals);
    const std::string_view value = text.substr(std::min(equals + 1, text.size()));
    if (name == "seconds") {
      std::uint32_t number = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error != std::errc() || end != value.data() + value.size() || number == 0 ||
          seconds(number) > longest)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("seconds must be a whole number from 1 to {}", longest.count()));
      parsed.time = seconds(number);
    } else if (name == "form" && (value == "proto" || value == "gperftools")) {
      parsed.form = value == "proto" ? ProfileForm::proto : ProfileForm::gperftools;
    } else {
      return fail(ErrorCode::invalid_argument,
                  "only seconds, and form, which is gperftools or proto, may be given");
    }
  }
  return parsed;
}

std::string symbol_lines(std::string_view addresses) {
  telemetry::Symbols symbols;
  std::string text;
  std::size_t count = 0;
  for (const auto part : std::views::split(addresses, '+')) {
    std::string_view word(part);
    if (++count > addresses_max) break;
    if (word.starts_with("0x")) word.remove_prefix(2);
    std::uintptr_t address = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), address, 16);
    if (error != std::errc() || end == word.data()) continue;
    fmt::format_to(std::back_inserter(text), "{:#x}\t{}\n", address, symbols.name(address));
  }
  return text;
}

Result<void> add_profile_routes(net::Router& router, ProfileService& profiles, OperatorLog* log) {
  const Profiler profiler{profiles, log};
  for (const std::string_view prefix : {"/debug", ""}) {
    if (auto added = add_under(router, prefix, profiler); !added) return added;
  }
  return router.add(net::Method::get, "/debug/flamegraph", [profiler](net::Exchange& exchange) {
    answer_profile(profiler, {ProfileKind::cpu, usual_flame_graph, true}, exchange);
  });
}

}  // namespace trialwire
