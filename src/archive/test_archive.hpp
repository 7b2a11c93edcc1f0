// SPDX-License-Identifier: Apache-2.0
// A small journal without threads and an archive beside it, for the tests of this folder.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "archive/archiver.hpp"
#include "support/journal_fixture.hpp"

namespace trialwire::archive {

/// A store whose calls can be made to fail, and that says what was done.
class FailingStore final : public storage::ObjectStore {
 public:
  explicit FailingStore(std::unique_ptr<storage::ObjectStore> store) : store_(std::move(store)) {}

  /// Every call after the next `calls` ones fails; each write of an upload is a call, too.
  void fail_after(std::uint64_t calls) { left_ = calls; }
  void heal() { left_ = UINT64_MAX; }
  std::uint64_t calls() const { return calls_; }

  const std::string& url() const noexcept override { return store_->url(); }
  Result<std::unique_ptr<storage::ObjectUpload>> put(std::string_view name,
                                                     storage::PutMode mode) override {
    if (auto may = call(); !may) return std::unexpected(may.error());
    auto upload = store_->put(name, mode);
    if (!upload) return upload;
    return std::make_unique<Upload>(*this, std::move(*upload));
  }
  Result<std::unique_ptr<storage::ByteStream>> get(std::string_view name,
                                                   storage::ByteRange range) override {
    if (auto may = call(); !may) return std::unexpected(may.error());
    return store_->get(name, range);
  }
  Result<std::uint64_t> size(std::string_view name) override {
    if (auto may = call(); !may) return std::unexpected(may.error());
    return store_->size(name);
  }
  Result<void> list(std::string_view prefix,
                    const std::function<bool(std::string_view)>& visit) override {
    if (auto may = call(); !may) return may;
    return store_->list(prefix, visit);
  }
  Result<void> remove(std::string_view name) override {
    if (auto may = call(); !may) return may;
    return store_->remove(name);
  }

 private:
  class Upload final : public storage::ObjectUpload {
   public:
    Upload(FailingStore& store, std::unique_ptr<storage::ObjectUpload> upload)
        : store_(store), upload_(std::move(upload)) {}
    Result<void> write(ByteView bytes) override {
      if (auto may = store_.call(); !may) return may;
      return upload_->write(bytes);
    }
    Result<void> commit() override {
      if (auto may = store_.call(); !may) return may;
      return upload_->commit();
    }

   private:
    FailingStore& store_;
    std::unique_ptr<storage::ObjectUpload> upload_;
  };

  Result<void> call() {
    ++calls_;
    if (left_ == 0) return fail(ErrorCode::disk_full, "no room in the archive");
    if (left_ != UINT64_MAX) --left_;
    return {};
  }

  std::unique_ptr<storage::ObjectStore> store_;
  std::uint64_t left_ = UINT64_MAX;
  std::uint64_t calls_ = 0;
};

class ArchiveFixture : public journal::JournalFixture {
 protected:
  static constexpr std::int64_t now_ns = 1'800'000'000'000'000'000;
  static constexpr std::string_view sink = "sink";

  std::filesystem::path root() const { return directory_.path() / "archive"; }

  /// Appends until so many segments are sealed, of a journal that is open.
  void fill_open(std::uint64_t sealed, std::size_t record_size = 3'000) {
    while (journal_->sealed_segments().size() < sealed) {
      ASSERT_TRUE(append(*journal_, 1, record_size));
      journal_->maintain();
    }
  }
  void open_journal() { open_journal(options()); }
  void open_journal(const journal::StoreOptions& options) {
    auto opened = open(options);
    ASSERT_TRUE(opened) << opened.error().text;
    journal_ = std::move(*opened);
  }
  void close_journal() {
    archiver_.reset();
    journal_.reset();
  }

  ArchiverSource source() {
    return {.journal = journal_->status().id,
            .directory = journal_->directory(),
            .direct = false,
            .sealed = [this] { return journal_->sealed_segments(); },
            .next_sequence = [this] { return journal_->tail().next_sequence; },
            .backlog = [this](std::uint64_t from) { return journal_->backlog(from); },
            .set_cursor = [this](std::uint64_t next) { journal_->set_cursor("archive", next); }};
  }
  Archiver& make_archiver(std::chrono::nanoseconds keep = {}) {
    ArchiverOptions options{.bytes_per_second = 0, .keep = keep, .background = false};
    options.expiry_interval = std::chrono::milliseconds(0);
    options.unix_now_ns = [this] { return clock_ns_; };
    archiver_ =
        std::make_unique<Archiver>(options, source(), store_, journal::posix_files(), metrics_);
    return *archiver_;
  }
  Archive archive() { return {store_, journal_->status().id}; }

  /// A journal of so many sealed segments, all of them archived.
  void archived(std::uint64_t segments) {
    open_journal();
    fill_open(segments);
    auto done = make_archiver().round();
    ASSERT_TRUE(done) << done.error().text;
  }

  std::filesystem::path object(std::string_view name) const { return root() / name; }

  FailingStore store_{*storage::open_object_store("file:" + root().native())};
  std::int64_t clock_ns_ = now_ns;
  std::unique_ptr<journal::SegmentStore> journal_;
  std::unique_ptr<Archiver> archiver_;
};

}  // namespace trialwire::archive
