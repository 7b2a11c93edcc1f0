// SPDX-License-Identifier: Apache-2.0
// The intake's handler on arbitrary bodies. The first byte chooses path, media type and key.
// Checked:
//   - every answer is JSON, and one of the statuses that intake gives
//   - what is stored is UTF-8, is JSON to simdjson too, and has the values that its row gives
//   - the event of what is stored is JSON, and keyed by what the record's key_hash is of
//   - simdjson and the own reader agree on what is JSON
#include <simdjson.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "epro/report.hpp"
#include "epro/report_rows.hpp"
#include "qol/qol_rows.hpp"
#include "storage/event_mapper.hpp"
#include "support/fake_appender.hpp"
#include "support/fake_exchange.hpp"
#include "support/intake_paths.hpp"
#include "trial/metric_rows.hpp"
#include "vitals/vital_rows.hpp"

namespace {

using namespace trialwire;

constexpr std::int64_t now_ns = 1'772'352'930'000'000'000;

struct Target {
  testing::FakeAppender appender;
  testing::IntakePaths paths{{}, appender};
  storage::EventMapper events[4] = {
      storage::EventMapper(epro::make_report_rows()), storage::EventMapper(qol::make_rows()),
      storage::EventMapper(vitals::make_rows()), storage::EventMapper(trial::make_rows())};
  testing::FakeExchange exchange;
  ingest::Scratch scratch;
  simdjson::dom::parser parser;
  simdjson::dom::parser event_parser;
};

std::string_view text_of(simdjson::dom::element object, const char* name) {
  std::string_view text;
  auto member = object[name];
  if (member.error() != simdjson::SUCCESS || member.is_null()) return {};
  TW_CHECK(member.get_string().get(text) == simdjson::SUCCESS);
  return text;
}

/// A number that simdjson cannot hold (beyond 64 bits, or 1e400) is JSON all the same.
bool beyond_simdjson(simdjson::error_code error) {
  return error == simdjson::NUMBER_ERROR;
}

void check_report(Target& target, const journal::Record& record, simdjson::dom::element document) {
  auto report = epro::decode_stored(record, target.scratch);
  TW_CHECK(report.has_value());
  bool legacy = record.attributes.content_type == journal::ContentType::json_legacy;
  TW_CHECK(text_of(document, legacy ? "patient_id" : "patientId") == report->patient_id);
  TW_CHECK(text_of(document, legacy ? "report_id" : "reportId") ==
           report->report_id.value_or(std::string_view()));
  TW_CHECK(text_of(document, legacy ? "data" : "comments") ==
           report->comments.value_or(std::string_view()));
  if (legacy) return;
  TW_CHECK(text_of(document, "trialId") == report->trial_id);
  TW_CHECK(text_of(document, "timestamp") == report->timestamp_text);
  double score = -1;
  TW_CHECK(document["qolScore"].get_double().get(score) == simdjson::SUCCESS);
  TW_CHECK(score == *report->qol_score);
}

/// Members of the event that are not the sender's, or not as they were sent.
constexpr std::string_view own_members[] = {
    "recordId", "sequence",  "journalId",   "receivedAt", "deviceSequence",
    "flags",    "timestamp", "submit_time", "unusual",    "collected"};

/// All others have the same value in the sender's object, where it has that name: a number that was
/// converted and a name of the older spelling have no counterpart.
void compare_members(simdjson::dom::element sent, simdjson::dom::element event) {
  bool converted = event["collected"].error() == simdjson::SUCCESS;
  for (auto member : event.get_object()) {
    if (std::ranges::find(own_members, member.key) != std::end(own_members)) continue;
    auto counterpart = sent[member.key];
    if (counterpart.error() != simdjson::SUCCESS) continue;
    double left = 0, right = 0;
    if (member.value.get_double().get(left) == simdjson::SUCCESS) {
      TW_CHECK(counterpart.get_double().get(right) == simdjson::SUCCESS);
      TW_CHECK(converted || left == right);
    } else if (member.value.is_string()) {
      TW_CHECK(member.value.get_string().value_unsafe() == text_of(sent, member.key.data()));
    }
  }
}

void check_stored(Target& target, const testing::StoredRecord& stored) {
  TW_CHECK(simdjson::validate_utf8(stored.bytes));
  journal::Record record;
  record.attributes = stored.attributes;
  record.bytes = as_bytes(stored.bytes);
  storage::EventMapper& mapper =
      target.events[static_cast<std::size_t>(record.attributes.kind) - 1];
  TW_CHECK(mapper.kind() == record.attributes.kind && mapper.read(record));
  TW_CHECK(key_hash(mapper.key()) == record.attributes.key_hash);
  std::string json;
  mapper.append_json(json);
  simdjson::dom::element event;
  auto event_error = target.event_parser.parse(json).get(event);
  TW_CHECK(event_error == simdjson::SUCCESS || beyond_simdjson(event_error));
  simdjson::dom::element document;
  auto error = target.parser.parse(stored.bytes).get(document);
  if (beyond_simdjson(error)) return;
  TW_CHECK(error == simdjson::SUCCESS && document.is_object());
  if (record.attributes.kind == journal::RecordKind::epro_report) {
    check_report(target, record, document);
  } else if (event_error == simdjson::SUCCESS) {
    compare_members(document, event);
  }
}

/// Duplicate names and depth are not simdjson's business; otherwise both must say the same.
void compare_readers(Target& target, std::string_view body) {
  if (!simdjson::validate_utf8(body)) return;
  std::string copy(body);
  ingest::JsonReader reader(copy, 0, 512);
  bool accepted = reader.skip_value() && reader.at_end();
  auto error = target.parser.parse(copy).error();
  if (beyond_simdjson(error) || error == simdjson::DEPTH_ERROR ||
      reader.fault() == ingest::JsonFault::depth) {
    return;
  }
  TW_CHECK(accepted == (error == simdjson::SUCCESS));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  unsigned choice = data[0];
  std::string body(reinterpret_cast<const char*>(data + 1), size - 1);
  static Target target;
  target.appender.forget();
  compare_readers(target, body);
  testing::FakeRequest request{"", {}, body};
  if ((choice & 4) != 0) request.headers.emplace_back("Content-Type", "application/x-ndjson");
  if ((choice & 8) != 0) request.headers.emplace_back("Idempotency-Key", "key");
  if ((choice & 16) != 0) request.headers.emplace_back("Content-Encoding", "gzip");
  // Twice: a retry of whatever was stored must be recognised.
  std::size_t stored_once = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    testing::FakeExchange& exchange = target.exchange;
    exchange.begin(request);
    std::size_t path = (choice & 3) + ((choice & 32) != 0 ? 4 : 0);
    exchange.run([&](net::Exchange& one) { target.paths[path].handle(one, now_ns); });
    if (target.appender.waiting()) target.appender.commit();
    int status = exchange.response().status;
    TW_CHECK(status == 200 || status == 400 || status == 409 || status == 413);
    simdjson::dom::element answer;
    TW_CHECK(target.parser.parse(exchange.response().body).get(answer) == simdjson::SUCCESS);
    if (attempt == 0) stored_once = target.appender.stored.size();
  }
  TW_CHECK(target.appender.stored.size() == stored_once);
  for (const auto& stored : target.appender.stored) check_stored(target, stored);
  return 0;
}
