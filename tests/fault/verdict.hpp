// SPDX-License-Identifier: Apache-2.0
// What went wrong in a run: the first finding counts, any thread may report it.
#pragma once
#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <string>

namespace trialwire::fault {

class Verdict {
 public:
  template <typename... Args>
  void fail(fmt::format_string<Args...> form, Args&&... args) {
    std::scoped_lock lock(mutex_);
    if (!text_.empty()) return;
    text_ = fmt::format(form, std::forward<Args>(args)...);
    failed_ = true;
  }
  bool failed() const { return failed_; }
  std::string text() const {
    std::scoped_lock lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
  std::atomic<bool> failed_ = false;
};

}  // namespace trialwire::fault
