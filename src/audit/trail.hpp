// SPDX-License-Identifier: Apache-2.0
// A shard's way of writing the audit trail: entries become records of kind `audit` of the journal,
// by the shard's own appender. All of it on the shard's thread.
//
// Durable when: the waiter is told so, as for any record. An entry that the journal does not take
// is the caller's to deal with: what it is about must then not happen, or be written down later.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "audit/entry.hpp"
#include "journal/appender.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::audit {

class Trail {
 public:
  /// `appender` outlives it.
  Trail(journal::Appender& appender, telemetry::Registry& metrics);

  /// Would the journal take an entry now? Errors: those of Appender::admit, counted.
  Result<void> admit() noexcept;

  /// One group, all or none. False: it is larger than the journal takes; the waiter is not told.
  [[nodiscard]] bool add(std::span<const Entry> entries, std::int64_t received_ns,
                         journal::Waiter& waiter);

  /// An entry that is written already, and may have been added before.
  struct Written {
    std::string_view json;
    std::string_view who;
    std::string_view what;
    std::string_view origin;
    Hash128 identity;
  };
  [[nodiscard]] bool add(const Written& entry, std::int64_t received_ns, journal::Waiter& waiter);

  /// Counts one that the journal did not take after all.
  void refused() noexcept { refused_.add(); }
  SipKey identity_key() const noexcept { return appender_.identity_key(); }

 private:
  void add_record(const Written& entry, std::int64_t received_ns);
  bool end(journal::Waiter& waiter);
  void count(std::string_view what) noexcept;

  journal::Appender& appender_;
  std::string text_;
  std::array<telemetry::Counter*, 5> counters_{};
  telemetry::Counter& refused_;
};

}  // namespace trialwire::audit
