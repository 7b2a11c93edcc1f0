// SPDX-License-Identifier: Apache-2.0
// The keys in force: read at start, read again when a file changes or a JWKS is fetched. The old
// ones stay in force while what is there now cannot be used; a metric and the log say so. A key
// that is gone is gone for the tokens that were verified with it, too.
//
// Threads: any.
#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "auth/keys.hpp"
#include "base/file_stamp.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::auth {

class KeyRing {
 public:
  /// Errors: those of load_keys.
  static Result<std::unique_ptr<KeyRing>> open(const KeyOptions& options,
                                               telemetry::Registry& metrics);

  /// Looks whether a file is another than it was, and reads all of them if so, or if what was there
  /// could not be used. Blocks briefly.
  void refresh();

  /// A JWKS that was fetched (jwks.hpp) takes the place of the one before. False: it is the same.
  /// An error says what is wrong with it; then the one before stays in force.
  Result<bool> take_set(std::string_view jwks);

  /// A token named a key that is not known here: one that was fetched may be out of date.
  void miss() noexcept { missed_.store(true, std::memory_order_relaxed); }
  bool missed() const noexcept { return missed_.load(std::memory_order_relaxed); }
  void look_for_missed() noexcept { missed_.store(false, std::memory_order_relaxed); }

  std::uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }
  std::shared_ptr<const KeySet> keys() const;

 private:
  KeyRing(KeyOptions options, telemetry::Registry& metrics);
  std::vector<FileStamp> stamps() const;
  void put(KeySet keys);
  void refused(std::string_view reason, bool changed);

  const KeyOptions options_;
  std::mutex changing_;  // held while keys are read; of these three
  std::vector<FileStamp> stamps_;
  std::string fetched_;  // the JWKS in force, as it came
  std::string trouble_;  // why what is there is not used; empty: it is
  mutable std::mutex mutex_;
  std::shared_ptr<const KeySet> keys_;  // checkers of all threads hold it as long as they use it
  std::atomic<std::uint64_t> version_{0};
  std::atomic<bool> missed_{false};
  telemetry::Gauge& count_;
  telemetry::Gauge& skipped_;
  telemetry::Gauge& current_;
  telemetry::Counter& reloads_;
  telemetry::Counter& failures_;
};

}  // namespace trialwire::auth
