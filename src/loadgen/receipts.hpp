// SPDX-License-Identifier: Apache-2.0
// The list of what a server acknowledged, so that a crash test can ask for it afterwards. One JSON
// object a line:
//   {"reportId":"…","recordId":"…","sequence":812}     a report answered alone
//   {"reportId":"…","sequence":902}                    an accepted line of an NDJSON body
// A line is written only after the whole 200 was received, and before the next wait for answers:
// what is in the file was acknowledged, whatever happens to server or client later.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace trialwire::loadgen {

/// The number after `"key":` in an answer's body; `missing` when there is none.
std::uint64_t number_after(std::string_view body, std::string_view key,
                           std::uint64_t missing) noexcept;

/// One worker's receipts: a buffer over a file that workers share (O_APPEND, whole lines).
class ReceiptBuffer {
 public:
  explicit ReceiptBuffer(int file) noexcept : file_(file) {}

  void add(std::string_view answer, const std::vector<std::string>& report_ids);
  /// Everything added so far is in the file (not synced: it outlives the process, not the machine).
  Result<void> flush();

 private:
  int file_;  // borrowed
  std::string lines_;
};

}  // namespace trialwire::loadgen
