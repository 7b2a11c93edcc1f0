// SPDX-License-Identifier: Apache-2.0
// A journal whose consumers can begin where its own records are long deleted: they get those from
// the archive, and then, at the first sequence that is still there, the journal's own. So a
// database that was restored from an older back-up, or replaced by an empty one, catches up by
// itself.
//
// Everything but `begin` and `read` is the journal's own; those ask the archive anew when the
// journal has deleted something since it answered last, and then take as long as the archive does.
// Any thread, as a Journal.
// Failure: while the archive cannot be asked, it is taken to have everything: a consumer that needs
// it waits, rather than leaving out what is there. A damaged or missing object stops the consumer
// that has to read it (the error names the object) and no other.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "archive/archive.hpp"
#include "journal/journal.hpp"

namespace trialwire::archive {

class ArchivedJournal final : public journal::Journal {
 public:
  /// Both must outlive it. Asks the archive once what it has.
  ArchivedJournal(journal::Journal& journal, storage::ObjectStore& store);

  ShardPort add_shard(std::function<void()> notify) override {
    return journal_.add_shard(std::move(notify));
  }
  void start(std::function<void(const Error&)> on_fatal) override {
    journal_.start(std::move(on_fatal));
  }
  void stop() override { journal_.stop(); }

  Result<std::unique_ptr<journal::Reader>> read(const journal::Cursor& from) override;
  /// The oldest record in the journal, or before it without a hole in the archive, now.
  journal::Cursor begin() const override;
  journal::Cursor end() const override { return journal_.end(); }
  void set_cursor(std::string_view consumer, const journal::Cursor& durable) override {
    journal_.set_cursor(consumer, durable);
  }
  void replicated(std::uint64_t next_sequence) override { journal_.replicated(next_sequence); }
  journal::Backlog backlog(std::uint64_t next_sequence) const override {
    return journal_.backlog(next_sequence);
  }
  std::vector<journal::SealedSegment> sealed_segments() const override {
    return journal_.sealed_segments();
  }
  journal::Status status() const override { return journal_.status(); }
  std::size_t pending_bytes() const noexcept override { return journal_.pending_bytes(); }

 private:
  class SplicedReader;
  struct Run {
    std::vector<std::uint64_t> segments;
    std::uint64_t first_sequence = 0;
    std::uint64_t next_sequence = 0;
  };
  struct Answer {
    std::uint64_t journal_begin = 0;  // when the archive was asked
    std::uint64_t oldest = 0;         // in the archive; 0: nothing that joins the journal
  };
  Result<std::vector<std::uint64_t>> ask_archive() const;
  Result<Run> newest_archived_run() const;
  std::uint64_t oldest_joined(std::uint64_t journal_begin) const;

  journal::Journal& journal_;
  Archive archive_;
  mutable std::mutex answer_mutex_;  // of the next one; not held while the archive is asked
  mutable Answer answer_;
};

}  // namespace trialwire::archive
