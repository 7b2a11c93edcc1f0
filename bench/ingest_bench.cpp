// SPDX-License-Identifier: Apache-2.0
// What taking in a record costs before the journal: strict decoding, validation, identity; then the
// same through the whole handler, for each kind of record. simdjson's own parse of the same bytes
// stands beside it.
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <string>

#include "epro/report_decoder.hpp"
#include "ingest/identity.hpp"
#include "support/fake_appender.hpp"
#include "support/fake_exchange.hpp"
#include "support/intake_paths.hpp"

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
  testing::IntakePaths paths({}, appender);
  ingest::Intake& intake = *paths.find(request.path);
  testing::FakeExchange exchange;
  for (auto _ : state) {
    exchange.begin(request);
    exchange.run([&](net::Exchange& one) { intake.handle(one, received_ns); });
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

std::string answer(int number) {
  return fmt::format(R"({{"patient_id":"P-{:06}","question_id":"Q-{:04}","answer":3,"submit_time":)"
                     R"("2026-03-01T08:15:30.250+01:00","trial_id":"TRIAL-7",)"
                     R"("instrument":"EORTC QLQ-C30","visit_id":"WEEK 4"}})",
                     number, number);
}

std::string vital(int number) {
  return fmt::format(R"({{"deviceId":"D-{:06}","timestamp":1772352930250,"heartRate":72,)"
                     R"("bloodOxygen":97.5,"systolic":121,"diastolic":78,"temperature":98.4,)"
                     R"("units":{{"temperature":"[degF]"}},"patientId":"P-000001",)"
                     R"("trialId":"TRIAL-7","sequence":{}}})",
                     number, number);
}

std::string metric(int number) {
  return fmt::format(R"({{"metricId":"SUBJECTS_ENROLLED","studyId":"TRIAL-7","siteId":"S-{:04}",)"
                     R"("value":41.25,"timestamp":1772352930250,"annotations":["weekly"]}})",
                     number);
}

void lines_of_500(benchmark::State& state, const char* path, std::string (*record)(int)) {
  testing::FakeRequest request{path, {{"Content-Type", "application/x-ndjson"}}, ""};
  for (int i = 0; i < 500; ++i) request.body += record(i) + "\n";
  handler(state, std::move(request), 500);
}
BENCHMARK_CAPTURE(lines_of_500, reports, "/v1/epro/reports", report);
BENCHMARK_CAPTURE(lines_of_500, answers, "/v1/epro/qol", answer);
BENCHMARK_CAPTURE(lines_of_500, vital_signs, "/v1/vitals", vital);
BENCHMARK_CAPTURE(lines_of_500, metrics, "/v1/metrics", metric);

}  // namespace

BENCHMARK_MAIN();
