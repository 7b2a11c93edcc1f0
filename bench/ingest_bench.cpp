// SPDX-License-Identifier: Apache-2.0
// What taking in one report costs before the journal: strict decoding, validation, identity; then
// the same through the whole handler. simdjson's own parse of the same bytes stands beside it.
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <string>

#include "epro/report_decoder.hpp"
#include "epro/report_intake.hpp"
#include "ingest/identity.hpp"
#include "support/fake_appender.hpp"
#include "support/fake_exchange.hpp"

namespace {

using namespace trialwire;

constexpr std::int64_t received_ns = 1'772'352'930'000'000'000;  // 2026-03-01T08:15:30Z

std::string report(int number) {
  return fmt::format(R"({{"patientId":"P-{:06}","trialId":"TRIAL-7","timestamp":)"
                     R"("2026-03-01T08:15:30.250+01:00","qolScore":7,"comments":"slept well, less )"
                     R"(pain than yesterday","reportId":"R-{:012}","answers":{{"PAIN_NRS":3,)"
                     R"("FATIGUE":"moderate"}}}})",
                     number % 100'000, number);
}

void decode_validate_identify(benchmark::State& state) {
  std::string text = report(1);
  std::size_t bytes = text.size();
  text.append(64, ' ');
  epro::ReportDecoder decoder{epro::ReportLimits{}};
  ingest::FieldErrors errors(100);
  ingest::Scratch scratch;
  ingest::KeySet names{SipKey{1, 2}}, items{SipKey{1, 2}};
  ingest::DecodeContext context{errors, scratch, names, items};
  context.received_ns = received_ns;
  std::string identity_text;
  ingest::IdentityScope scope{{1, 2}, "", journal::RecordKind::epro_report, "", identity_text};
  std::string_view body(text.data(), bytes);
  for (auto _ : state) {
    bool valid = simdjson::validate_utf8(body);
    ingest::JsonReader reader(body, 64, 64);
    ingest::Decoded decoded;
    valid = valid && decoder.decode(reader, context, decoded) && reader.at_end();
    if (!valid || !errors.empty()) state.SkipWithError("not accepted");
    auto identity = ingest::identify(scope, decoded, body, 0);
    benchmark::DoNotOptimize(identity);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes * state.iterations()));
  state.counters["report_bytes"] = static_cast<double>(bytes);
}
BENCHMARK(decode_validate_identify);

void simdjson_dom_parse_only(benchmark::State& state) {
  std::string text = report(1);
  simdjson::padded_string padded(text);
  simdjson::dom::parser parser;
  for (auto _ : state) {
    simdjson::dom::element document;
    if (parser.parse(padded).get(document)) state.SkipWithError("not accepted");
    benchmark::DoNotOptimize(document);
  }
}
BENCHMARK(simdjson_dom_parse_only);

void handler(benchmark::State& state, testing::FakeRequest request, std::size_t records) {
  testing::FakeAppender appender;
  appender.keep_records = false;
  telemetry::Registry registry;
  journal::Appender* appenders[] = {&appender};
  epro::ReportIntake intake({}, appenders, registry);
  testing::FakeExchange exchange;
  for (auto _ : state) {
    exchange.begin(request);
    exchange.run([&](net::Exchange& one) { intake.intake(0, 0).handle(one, received_ns); });
    if (!appender.waiting()) {
      state.SkipWithError(exchange.response().body.c_str());
      break;
    }
    appender.commit();
    if (exchange.response().status != 200) state.SkipWithError("not answered with 200");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(records * state.iterations()));
}

void one_report(benchmark::State& state) {
  handler(state, {"/v1/epro/reports", {{"Content-Type", "application/json"}}, report(1)}, 1);
}
BENCHMARK(one_report);

void ndjson_of_500(benchmark::State& state) {
  testing::FakeRequest request{"/v1/epro/reports", {{"Content-Type", "application/x-ndjson"}}, ""};
  for (int i = 0; i < 500; ++i) request.body += report(i) + "\n";
  handler(state, std::move(request), 500);
}
BENCHMARK(ndjson_of_500);

}  // namespace

BENCHMARK_MAIN();
