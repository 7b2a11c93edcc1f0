// SPDX-License-Identifier: Apache-2.0
#include "journal_cat.hpp"

#include <fmt/format.h>
#include <simdjson.h>
#include <boost/json.hpp>

#include "base/rfc3339.hpp"
#include "record_text.hpp"

namespace trialwire {
namespace {

std::string quoted(std::string_view text) {
  return boost::json::serialize(boost::json::value(boost::json::string_view(text)));
}

}  // namespace

void append_record_line(std::string& to, const Uuid& journal, const journal::Record& record,
                        bool bodies) {
  const auto& attributes = record.attributes;
  auto out = std::back_inserter(to);
  RecordOrigin origin{journal, record.epoch, record.sequence, attributes.received_ns};
  fmt::format_to(
      out,
      R"({{"sequence":{},"recordId":"{}","epoch":{},"kind":"{}","contentType":"{}",)"
      R"("receivedAt":"{}","identity":"{:016x}{:016x}","keyHash":{},"flags":{},"origin":{},)"
      R"("bytes":{})",
      record.sequence, record_id(origin).text(), record.epoch, name_of(attributes.kind),
      name_of(attributes.content_type), format_rfc3339_ms(attributes.received_ns),
      attributes.identity.high, attributes.identity.low, attributes.key_hash, attributes.flags,
      quoted(attributes.origin), record.bytes.size());
  if (!attributes.principal.empty()) {
    fmt::format_to(out, R"(,"principal":{})", quoted(attributes.principal));
  }
  if (!attributes.traceparent.empty()) {
    fmt::format_to(out, R"(,"traceparent":{})", quoted(attributes.traceparent));
  }
  if (attributes.submission_count > 0) {
    fmt::format_to(out, R"(,"submission":{{"id":"{}","index":{},"count":{}}})",
                   attributes.submission.text(), attributes.submission_index,
                   attributes.submission_count);
  }
  if (bodies) {
    std::string_view text = as_text(record.bytes);
    if (simdjson::validate_utf8(text.data(), text.size())) {
      fmt::format_to(out, R"(,"body":{})", quoted(text));
    } else {
      fmt::format_to(out, R"(,"bodyBase64":"{}")", base64(record.bytes));
    }
  }
  to += "}\n";
}

}  // namespace trialwire
