// SPDX-License-Identifier: Apache-2.0
// A journal of known contents on a disk that can be damaged on purpose, for the directed scenarios.
// One thread; no faults but those that a scenario makes.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fault/bell.hpp"
#include "fault/ledger.hpp"
#include "fault/verdict.hpp"
#include "journal/format.hpp"
#include "journal/journal.hpp"
#include "journal/recovery_table.hpp"
#include "support/faulty_files.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::fault {

class Lab {
 public:
  explicit Lab(std::uint64_t seed = 1, bool direct = true);
  ~Lab();

  journal::Options options;
  Verdict verdict;
  support::FaultyFiles disk;
  Ledger ledger;

  /// Opens and starts. False (and the verdict fails) when it refuses.
  bool start();
  /// One acknowledged batch for each record.
  void append(std::uint32_t records, std::size_t bytes = 300);
  void append_one(const Ledger::Wish& wish);
  void wait_for_spare();
  void stop();
  journal::Journal& journal() { return *journal_; }
  bool fatal() const { return fatal_; }

  /// Segments with data, oldest first.
  std::vector<std::string> segments() const;
  struct BatchAt {
    std::string path;
    std::uint64_t offset = 0;
    journal::BatchHead head;
  };
  /// All batches, in order; `records`: only those that hold any.
  std::vector<BatchAt> batches(bool records = true) const;

  /// Writes `batch` as if the journal had, with the fields of `place`.
  void forge(const std::string& path, const journal::BatchPlace& place, std::size_t payload_bytes);
  /// What a batch after the newest one would carry.
  journal::BatchPlace next_place() const;
  /// After a change of payload bytes: block, table and head CRCs are made right, the hash is not.
  static void reseal_without_payload_hash(MutableBytes batch, const journal::BatchHead& head);
  static void set_version(MutableBytes batch, std::uint16_t version);
  void patch(const std::string& path, std::uint64_t offset, ByteView bytes);

  /// Expects that opening refuses: says row, file and offset, and touches nothing.
  struct Refusal {
    journal::RecoveryCase row = journal::RecoveryCase::count_;
    std::string file;
    std::optional<std::uint64_t> offset;
  };
  void expect_refusal(const Refusal& refusal);
  /// Expects that it opens, meets the row, and that everything acknowledged is there.
  void expect_recovery(journal::RecoveryCase row);
  /// Either is right: true when it refused, which must have been by that row.
  bool refuses_or_recovers(journal::RecoveryCase row);
  void check_contents();
  /// Of all records that are there, each compared with what was sent.
  std::vector<std::uint64_t> read_sequences();

 private:
  Result<void> open();

  std::unique_ptr<telemetry::Registry> metrics_;
  std::unique_ptr<journal::Journal> journal_;
  journal::Journal::ShardPort port_;
  Bell bell_;
  Random random_;
  std::uint32_t run_ = 0;
  std::atomic<bool> ready_ = false;
  std::atomic<bool> fatal_ = false;
};

}  // namespace trialwire::fault
