// SPDX-License-Identifier: Apache-2.0
#include "loadgen/receipts.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <iterator>

#include "loadgen/csv_mapping.hpp"

namespace trialwire::loadgen {
namespace {

std::string_view text_after(std::string_view body, std::string_view key) noexcept {
  const auto found = body.find(key);
  if (found == body.npos) return {};
  body.remove_prefix(found + key.size());
  return body.substr(0, std::min(body.find('"'), body.size()));
}

// The lines that an NDJSON answer rejects, from 0.
std::vector<bool> rejected_lines(std::string_view answer, std::size_t lines) {
  constexpr std::string_view key = "\"line\":";
  std::vector<bool> rejected(lines, false);
  for (auto at = answer.find(key); at != answer.npos; at = answer.find(key, at + 1)) {
    const auto line = number_after(answer.substr(at), key, 0);
    if (line >= 1 && line <= lines) rejected[line - 1] = true;
  }
  return rejected;
}

/// The sequences of an NDJSON answer's accepted lines, one after the other: a range, or, where some
/// were stored before, a list.
class AcceptedSequences {
 public:
  explicit AcceptedSequences(std::string_view answer) noexcept
      : next_(number_after(answer, "\"firstSequence\":", 0)) {
    constexpr std::string_view key = "\"sequences\":[";
    const auto found = answer.find(key);
    if (found != answer.npos) listed_ = answer.substr(found + key.size());
  }

  std::uint64_t next() noexcept {
    if (listed_.data() == nullptr) return next_++;
    std::uint64_t sequence = 0;
    const auto read = std::from_chars(listed_.data(), listed_.data() + listed_.size(), sequence);
    listed_ = listed_.substr(static_cast<std::size_t>(read.ptr - listed_.data()));
    if (listed_.starts_with(',')) listed_.remove_prefix(1);
    return sequence;
  }

 private:
  std::uint64_t next_;
  std::string_view listed_;
};

}  // namespace

std::uint64_t number_after(std::string_view body, std::string_view key,
                           std::uint64_t missing) noexcept {
  const auto found = body.find(key);
  if (found == body.npos) return missing;
  body.remove_prefix(found + key.size());
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), value);
  return error == std::errc() ? value : missing;
}

void ReceiptBuffer::add(std::string_view answer, const std::vector<std::string>& report_ids) {
  const auto record_id = text_after(answer, "\"recordId\":\"");
  auto out = std::back_inserter(lines_);
  if (!record_id.empty() && report_ids.size() == 1) {
    fmt::format_to(out, "{{\"reportId\":{},\"recordId\":\"{}\",\"sequence\":{}}}\n",
                   json_string(report_ids.front()), record_id,
                   number_after(answer, "\"sequence\":", 0));
    return;
  }
  const auto rejected = rejected_lines(answer, report_ids.size());
  AcceptedSequences sequences(answer);
  for (std::size_t i = 0; i < report_ids.size(); ++i) {
    if (rejected[i]) continue;
    fmt::format_to(out, "{{\"reportId\":{},\"sequence\":{}}}\n", json_string(report_ids[i]),
                   sequences.next());
  }
}

Result<void> ReceiptBuffer::flush() {
  std::string_view left = lines_;
  while (!left.empty()) {
    const auto wrote = ::write(file_, left.data(), left.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return std::unexpected(errno_error("cannot write receipts", errno));
    left.remove_prefix(static_cast<std::size_t>(wrote));
  }
  lines_.clear();
  return {};
}

}  // namespace trialwire::loadgen
