// SPDX-License-Identifier: Apache-2.0
// Linked into the program in place of the journal's POSIX file layer: the same calls, and at a
// chosen one the power goes. What was not synced is then taken back from the real files, sector by
// sector or not at all, names in the reverse of their order, and the process is gone without a
// further word (status 137). TRIALWIRE_POWER_CUT=SEED:CALLS says when; without it nothing happens.
//
// The layer below is the real one: its source is compiled in here under another name.
#define posix_files real_posix_files
#include "../../src/journal/file_layer_posix.cpp"
#undef posix_files

#include <cstdio>
#include <map>
#include <mutex>
#include <set>

#include "base/check.hpp"
#include "support/random.hpp"

namespace trialwire::journal {

FileLayer& posix_files();

namespace {

using support::Random;
using Bytes = std::vector<std::byte>;

/// How to take a write back.
struct Written {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  Bytes before;  // as far as the file reached; beyond it: zeros
};

/// An open file that was written to and not synced since.
struct Open {
  int descriptor = -1;
  std::vector<Written> unsynced;
};

/// How to take a change of names back.
struct NameChange {
  path removed;  // empty: none
  path added;    // empty: none
  Bytes lost;    // what the removed or replaced name held
  bool replaced = false;
};

Bytes read_some(int descriptor, std::uint64_t offset, std::uint64_t size) {
  Bytes bytes(size);
  const ssize_t got = ::pread(descriptor, bytes.data(), size, static_cast<off_t>(offset));
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

Bytes read_file(const path& name) {
  const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {};
  struct stat status{};
  TW_CHECK(::fstat(descriptor, &status) == 0);
  Bytes bytes = read_some(descriptor, 0, static_cast<std::uint64_t>(status.st_size));
  ::close(descriptor);
  return bytes;
}

void write_file(const path& name, const Bytes& bytes) {
  const int descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  TW_CHECK(descriptor >= 0);
  TW_CHECK(::write(descriptor, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  ::close(descriptor);
}

class PowerSupply {
 public:
  PowerSupply() {
    const char* setting = std::getenv("TRIALWIRE_POWER_CUT");
    unsigned long long seed = 0, calls = 0;
    if (setting == nullptr || std::sscanf(setting, "%llu:%llu", &seed, &calls) != 2) return;
    random_ = Random(seed);
    cut_in_ = calls;
  }

  // All calls hold it: at the cut nobody else is in the middle of anything.
  std::mutex& mutex() { return mutex_; }
  std::set<Open*>& open_files() { return open_; }
  std::vector<NameChange>& names() { return names_; }
  bool armed() const { return cut_in_ != 0; }

  /// Counts a changing call; at the chosen one it does not return.
  void change() {
    if (cut_in_ != 0 && --cut_in_ == 0) cut();
  }

 private:
  [[noreturn]] void cut() {
    const std::uint64_t odds[] = {0, 100, 50, 95};
    for (const Open* file : open_) {
      const std::uint64_t kept = odds[random_.below(4)];
      for (std::size_t i = file->unsynced.size(); i > 0; --i) {
        take_back(*file, file->unsynced[i - 1], kept);
      }
    }
    const std::size_t kept_names = random_.below(names_.size() + 1);
    for (std::size_t i = names_.size(); i > kept_names; --i) take_back(names_[i - 1]);
    std::fputs("power cut\n", stderr);
    ::_exit(137);
  }

  void take_back(const Open& file, const Written& written, std::uint64_t kept) {
    Bytes before = written.before;
    before.resize(written.size);
    for (std::uint64_t at = 0; at < written.size; at += sector_bytes) {
      if (random_.percent(kept)) continue;
      const std::uint64_t size = std::min<std::uint64_t>(sector_bytes, written.size - at);
      TW_CHECK(::pwrite(file.descriptor, before.data() + at, size,
                        static_cast<off_t>(written.offset + at)) == static_cast<ssize_t>(size));
    }
  }

  static void take_back(const NameChange& change) {
    if (!change.added.empty() && change.removed.empty()) {
      ::unlink(change.added.c_str());
    } else if (!change.added.empty()) {
      ::rename(change.added.c_str(), change.removed.c_str());
      if (change.replaced) write_file(change.added, change.lost);
    } else {
      write_file(change.removed, change.lost);
    }
  }

  std::mutex mutex_;
  std::set<Open*> open_;
  std::vector<NameChange> names_;
  Random random_{1};
  std::uint64_t cut_in_ = 0;
};

PowerSupply& power() {
  static PowerSupply supply;
  return supply;
}

class TearingFile final : public File {
 public:
  explicit TearingFile(std::unique_ptr<File> under, bool direct)
      : under_(std::move(under)), direct_(direct) {
    open_.descriptor = ::open(under_->path().c_str(), O_RDWR | O_CLOEXEC);
    TW_CHECK(open_.descriptor >= 0);
    const std::scoped_lock lock(power().mutex());
    power().open_files().insert(&open_);
  }
  // Closing makes nothing durable: what was not synced can still be lost.
  ~TearingFile() override {
    const std::scoped_lock lock(power().mutex());
    if (open_.unsynced.empty() || !power().armed()) {
      power().open_files().erase(&open_);
      ::close(open_.descriptor);
    } else {
      power().open_files().erase(&open_);
      power().open_files().insert(new Open(std::move(open_)));  // until the process ends
    }
  }

  Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
    const std::scoped_lock lock(power().mutex());
    return write(offset, bytes);
  }
  Result<void> read_at(std::uint64_t offset, MutableBytes into) override {
    return under_->read_at(offset, into);
  }
  Result<void> sync() override {
    const std::scoped_lock lock(power().mutex());
    power().change();
    auto synced = under_->sync();
    if (synced) open_.unsynced.clear();
    return synced;
  }
  Result<void> write_and_sync(std::uint64_t offset, ByteView bytes) override {
    if (!direct_) return File::write_and_sync(offset, bytes);
    // The real call makes this write alone durable; until it returns it may be in any part.
    const std::scoped_lock lock(power().mutex());
    if (auto written = write(offset, bytes); !written) return written;
    power().change();
    auto synced = under_->write_and_sync(offset, bytes);
    if (synced) open_.unsynced.pop_back();
    return synced;
  }
  Result<std::uint64_t> size() override { return under_->size(); }
  const std::filesystem::path& path() const override { return under_->path(); }

 private:
  Result<void> write(std::uint64_t offset, ByteView bytes) {
    if (power().armed()) {
      open_.unsynced.push_back(
          {offset, bytes.size(), read_some(open_.descriptor, offset, bytes.size())});
    }
    auto written = under_->write_at(offset, bytes);
    power().change();
    return written;
  }

  std::unique_ptr<File> under_;
  bool direct_;
  Open open_;
};

class TearingFiles final : public FileLayer {
 public:
  Result<std::unique_ptr<File>> open(const path& name, OpenMode mode, bool direct) override {
    auto file = under_.open(name, mode, direct);
    if (!file || mode == OpenMode::read) return file;
    if (mode == OpenMode::create_new) change_name({.added = name});
    return std::make_unique<TearingFile>(std::move(*file), direct);
  }
  Result<std::vector<std::string>> list(const path& directory) override {
    return under_.list(directory);
  }
  Result<void> create_directory(const path& directory) override {
    return under_.create_directory(directory);
  }
  Result<std::unique_ptr<DirectoryLock>> lock(const path& name) override {
    return under_.lock(name);
  }
  Result<FileIdentity> identity(const path& name) override { return under_.identity(name); }
  Result<void> rename(const path& from, const path& to) override {
    NameChange change{.removed = from, .added = to};
    std::error_code error;
    change.replaced = std::filesystem::exists(to, error);
    if (change.replaced && power().armed()) change.lost = read_file(to);
    auto done = under_.rename(from, to);
    if (done) change_name(std::move(change));
    return done;
  }
  Result<void> remove(const path& name) override {
    NameChange change{.removed = name};
    if (power().armed()) change.lost = read_file(name);
    auto done = under_.remove(name);
    if (done) change_name(std::move(change));
    return done;
  }
  Result<void> sync_directory(const path& directory) override {
    const std::scoped_lock lock(power().mutex());
    power().change();
    auto synced = under_.sync_directory(directory);
    if (synced) {
      std::erase_if(power().names(), [&](const NameChange& change) {
        const path& name = change.added.empty() ? change.removed : change.added;
        return name.parent_path() == directory;
      });
    }
    return synced;
  }
  Result<bool> supports_direct(const path& directory) override {
    return under_.supports_direct(directory);
  }

 private:
  static void change_name(NameChange change) {
    const std::scoped_lock lock(power().mutex());
    if (!power().armed()) return;
    power().names().push_back(std::move(change));
    power().change();
  }

  FileLayer& under_ = real_posix_files();
};

}  // namespace

FileLayer& posix_files() {
  static TearingFiles files;
  return files;
}

}  // namespace trialwire::journal
