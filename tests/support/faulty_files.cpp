// SPDX-License-Identifier: Apache-2.0
#include "support/faulty_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "base/check.hpp"

namespace trialwire::support {

using journal::block_bytes;
using journal::OpenMode;
using journal::sector_bytes;

namespace {

std::unexpected<Error> io_error(const std::string& what) {
  return std::unexpected(errno_error(what, EIO));
}

std::unexpected<Error> no_entry(const std::string& what) {
  Error error = errno_error(what, ENOENT);
  error.code = ErrorCode::not_found;
  return std::unexpected(std::move(error));
}

/// Counts down to 1 and says when it is reached; 0 stays 0.
bool due(std::uint64_t& countdown) {
  return countdown != 0 && --countdown == 0;
}

std::string parent_of(const std::filesystem::path& path) {
  return path.parent_path().string();
}

}  // namespace

class FaultyFile final : public journal::File {
 public:
  struct Opened {
    std::filesystem::path path;
    std::uint64_t generation = 0;
    bool direct = false;
    bool writable = false;
  };

  FaultyFile(FaultyFiles& disk, FaultyFiles::InodePtr inode, Opened opened)
      : disk_(disk), inode_(std::move(inode)), opened_(std::move(opened)) {}

  Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
    if (!opened_.writable) return std::unexpected(errno_error("cannot write " + name(), EBADF));
    if (auto aligned = check_alignment(offset, bytes.data(), bytes.size()); !aligned) {
      return aligned;
    }
    disk_.delay();
    std::scoped_lock lock(disk_.mutex_);
    if (auto alive = check_alive(); !alive) return alive;
    const bool may_fail = disk_.may_fail(opened_.path);
    return named(disk_.write(*inode_, {offset, bytes, opened_.direct}, may_fail));
  }

  Result<void> read_at(std::uint64_t offset, MutableBytes into) override {
    if (auto aligned = check_alignment(offset, into.data(), into.size()); !aligned) return aligned;
    std::scoped_lock lock(disk_.mutex_);
    if (auto alive = check_alive(); !alive) return alive;
    return named(disk_.read(*inode_, offset, into));
  }

  Result<void> sync() override {
    disk_.delay();
    disk_.delay_sync(opened_.path);
    std::scoped_lock lock(disk_.mutex_);
    if (auto alive = check_alive(); !alive) return alive;
    return named(disk_.sync(*inode_, disk_.may_fail(opened_.path)));
  }

  Result<void> write_and_sync(std::uint64_t offset, ByteView bytes) override {
    if (!opened_.direct) return File::write_and_sync(offset, bytes);
    if (auto aligned = check_alignment(offset, bytes.data(), bytes.size()); !aligned) {
      return aligned;
    }
    disk_.delay();
    disk_.delay_sync(opened_.path);
    std::scoped_lock lock(disk_.mutex_);
    if (auto alive = check_alive(); !alive) return alive;
    return named(disk_.write_through(*inode_, {offset, bytes, true}, disk_.may_fail(opened_.path)));
  }

  Result<std::uint64_t> size() override {
    std::scoped_lock lock(disk_.mutex_);
    if (auto alive = check_alive(); !alive) return std::unexpected(alive.error());
    return inode_->current.size();
  }

  const std::filesystem::path& path() const override { return opened_.path; }

 private:
  std::string name() const { return opened_.path.string(); }

  Result<void> named(Result<void> done) const {
    if (!done) done.error().text = name() + ": " + done.error().text;
    return done;
  }

  Result<void> check_alignment(std::uint64_t offset, const void* at, std::size_t size) const {
    const auto address = reinterpret_cast<std::uintptr_t>(at);
    if (!opened_.direct || (offset | size | address) % block_bytes == 0) return {};
    return std::unexpected(errno_error("not aligned: " + name(), EINVAL));
  }

  Result<void> check_alive() const {
    if (disk_.powered_ && !disk_.killed_ && opened_.generation == disk_.generation_) return {};
    return io_error("no power: " + name());
  }

  FaultyFiles& disk_;
  FaultyFiles::InodePtr inode_;
  Opened opened_;
};

class FaultyLock final : public journal::DirectoryLock {
 public:
  FaultyLock(FaultyFiles& disk, std::string path, std::uint64_t generation)
      : disk_(disk), path_(std::move(path)), generation_(generation) {}
  ~FaultyLock() override {
    std::scoped_lock lock(disk_.mutex_);
    const auto held = disk_.locks_.find(path_);
    if (held != disk_.locks_.end() && held->second == generation_) disk_.locks_.erase(held);
  }

 private:
  FaultyFiles& disk_;
  std::string path_;
  std::uint64_t generation_;
};

FaultyFiles::FaultyFiles(const FaultyOptions& options)
    : options_(options), random_(options.seed ^ 0xd15c5eedULL) {}

FaultyFiles::~FaultyFiles() = default;

// --- the calls of the layer ----------------------------------------------------------------------

Result<std::unique_ptr<journal::File>> FaultyFiles::open(const std::filesystem::path& path,
                                                         OpenMode mode, bool direct) {
  std::scoped_lock lock(mutex_);
  if (!powered_ || killed_) return io_error("cannot open " + path.string());
  if (direct && !options_.direct) {
    return std::unexpected(errno_error("cannot open " + path.string(), EINVAL));
  }
  auto found = names_.find(path.string());
  if (mode == OpenMode::create_new) {
    if (found != names_.end()) {
      return std::unexpected(errno_error("cannot create " + path.string(), EEXIST));
    }
    if (!directories_.contains(parent_of(path))) {
      return no_entry("cannot create " + path.string());
    }
    NameChange created{parent_of(path), "", path.string(), make_inode()};
    if (auto done = change_name(std::move(created)); !done) return std::unexpected(done.error());
    found = names_.find(path.string());
  } else if (found == names_.end()) {
    return no_entry("cannot open " + path.string());
  }
  FaultyFile::Opened opened{path, generation_, direct, mode != OpenMode::read};
  return std::make_unique<FaultyFile>(*this, found->second, std::move(opened));
}

Result<std::vector<std::string>> FaultyFiles::list(const std::filesystem::path& directory) {
  std::scoped_lock lock(mutex_);
  if (!powered_ || killed_) return io_error("cannot list " + directory.string());
  if (!directories_.contains(directory.string())) {
    return no_entry("cannot list " + directory.string());
  }
  std::vector<std::string> entries;
  for (const auto& [name, inode] : names_) {
    const std::filesystem::path path(name);
    if (path.parent_path() == directory) entries.push_back(path.filename().string());
  }
  for (const auto& [name, unused] : directories_) {
    const std::filesystem::path path(name);
    if (path.parent_path() == directory) entries.push_back(path.filename().string());
  }
  // A real directory has no order that may be relied on.
  for (std::size_t i = entries.size(); i > 1; --i) {
    std::swap(entries[i - 1], entries[random_.below(i)]);
  }
  return entries;
}

Result<void> FaultyFiles::create_directory(const std::filesystem::path& directory) {
  std::scoped_lock lock(mutex_);
  if (auto begun = begin_change(); !begun) return begun;
  // A directory that is made once, at first start, is taken as durable: what is tested lies in it.
  for (auto at = directory; !at.empty(); at = at.parent_path()) {
    directories_[at.string()] = true;
    if (at == at.root_path()) break;
  }
  return {};
}

Result<std::unique_ptr<journal::DirectoryLock>> FaultyFiles::lock(
    const std::filesystem::path& path) {
  std::scoped_lock lock(mutex_);
  if (!powered_ || killed_) return io_error("cannot lock " + path.string());
  const auto held = locks_.find(path.string());
  if (held != locks_.end() && held->second == generation_) {
    return fail(ErrorCode::unavailable, path.string() + " is in use");
  }
  if (!directories_.contains(parent_of(path))) return no_entry("cannot lock " + path.string());
  // Nothing is ever written to it: whether its name is durable makes no difference to anyone.
  if (!names_.contains(path.string())) {
    const auto inode = make_inode();
    names_[path.string()] = durable_names_[path.string()] = inode;
  }
  locks_[path.string()] = generation_;
  return std::make_unique<FaultyLock>(*this, path.string(), generation_);
}

Result<journal::FileIdentity> FaultyFiles::identity(const std::filesystem::path& path) {
  std::scoped_lock lock(mutex_);
  if (!powered_ || killed_) return io_error("cannot stat " + path.string());
  const auto found = names_.find(path.string());
  if (found == names_.end()) return no_entry("cannot stat " + path.string());
  return journal::FileIdentity{1, found->second->number};
}

Result<void> FaultyFiles::rename(const std::filesystem::path& from,
                                 const std::filesystem::path& to) {
  std::scoped_lock lock(mutex_);
  auto found = names_.find(from.string());
  if (found == names_.end()) {
    return std::unexpected(errno_error("cannot rename " + from.string(), ENOENT));
  }
  TW_CHECK(parent_of(from) == parent_of(to) || directories_.contains(parent_of(to)));
  return change_name({parent_of(to), from.string(), to.string(), found->second});
}

Result<void> FaultyFiles::remove(const std::filesystem::path& path) {
  std::function<void(const std::filesystem::path&)> hook;
  {
    std::scoped_lock lock(mutex_);
    if (!names_.contains(path.string())) {
      return std::unexpected(errno_error("cannot remove " + path.string(), ENOENT));
    }
    hook = on_remove_;
  }
  if (hook) hook(path);
  std::scoped_lock lock(mutex_);
  return change_name({parent_of(path), path.string(), "", nullptr});
}

Result<void> FaultyFiles::sync_directory(const std::filesystem::path& directory) {
  delay();
  std::scoped_lock lock(mutex_);
  if (auto begun = begin_change(); !begun) return begun;
  std::erase_if(unsynced_names_, [&](const NameChange& change) {
    if (change.directory != directory.string()) return false;
    apply(durable_names_, change);
    return true;
  });
  return {};
}

Result<bool> FaultyFiles::supports_direct(const std::filesystem::path& directory) {
  std::scoped_lock lock(mutex_);
  if (!powered_ || killed_) return io_error("cannot probe " + directory.string());
  return options_.direct;
}

// --- what the calls do, with the lock held -------------------------------------------------------

Result<void> FaultyFiles::begin_change() {
  if (!powered_ || killed_) return io_error("no power");
  ++changing_calls_;
  if (due(cut_in_)) {
    cut_locked();
    return io_error("power cut");
  }
  return {};
}

bool FaultyFiles::may_fail(const std::filesystem::path& path) const {
  return path.native().starts_with(options_.errors_only_in) &&
         (options_.errors_in_temporary || path.extension() != ".tmp");
}

Result<void> FaultyFiles::write(Inode& inode, const Change& change, bool may_fail) {
  const auto [offset, bytes, direct] = change;
  const std::uint64_t end = offset + bytes.size();
  const std::uint64_t grows = end > inode.current.size() ? end - inode.current.size() : 0;
  // What the file has already is there, however full the disk.
  const bool full = may_fail && grows > 0 && used_locked() + grows > options_.capacity;
  const bool fails = may_fail && due(write_error_in_);
  auto begun = begin_change();
  if (begun && full && !fails) {
    ++injected_.disk_full;
    return std::unexpected(errno_error("cannot write", ENOSPC));
  }
  // A write during which the power goes, or that fails, may have reached the disk in any part.
  if (!begun || fails) {
    for (std::uint64_t at = 0; at < bytes.size() && !full; at += sector_bytes) {
      if (random_.one_in(2)) continue;
      const auto part = bytes.subspan(at, std::min<std::uint64_t>(sector_bytes, bytes.size() - at));
      inode.unsynced.push_back({offset + at, FileBytes(part.begin(), part.end()), direct});
      apply(inode.current, offset + at, part);
    }
    if (!begun) return begun;
    ++injected_.write_errors;
    return io_error("cannot write");
  }
  inode.unsynced.push_back({offset, FileBytes(bytes.begin(), bytes.end()), direct});
  apply(inode.current, offset, bytes);
  return {};
}

// As RWF_DSYNC does it: this write alone is durable, not what was written before it.
Result<void> FaultyFiles::write_through(Inode& inode, const Change& change, bool may_fail) {
  if (auto written = write(inode, change, may_fail); !written) return written;
  std::vector<Write> before = std::move(inode.unsynced);
  inode.unsynced.clear();
  inode.unsynced.push_back(std::move(before.back()));
  before.pop_back();
  // The disk's cache is coherent: an older write never comes back over a newer one.
  std::erase_if(before, [&](const Write& older) {
    const bool overlaps = older.offset < change.offset + change.bytes.size() &&
                          change.offset < older.offset + older.bytes.size();
    if (overlaps) apply(inode.durable, older.offset, older.bytes);
    return overlaps;
  });
  auto synced = sync(inode, may_fail);
  std::ranges::move(inode.unsynced, std::back_inserter(before));
  inode.unsynced = std::move(before);
  return synced;
}

FaultyFiles::InodePtr FaultyFiles::make_inode() {
  auto inode = std::make_shared<Inode>();
  inode->number = next_inode_++;
  return inode;
}

Result<void> FaultyFiles::sync(Inode& inode, bool may_fail) {
  const bool fails = may_fail && due(sync_error_in_);
  if (auto begun = begin_change(); !begun) return begun;
  if (fails) {
    drop_failed_sync(inode);
    ++injected_.sync_errors;
    return io_error("cannot sync");
  }
  for (const Write& write : inode.unsynced) apply(inode.durable, write.offset, write.bytes);
  inode.unsynced.clear();
  return {};
}

Result<void> FaultyFiles::read(const Inode& inode, std::uint64_t offset, MutableBytes into) {
  if (due(read_error_in_)) return io_error("cannot read");
  if (offset + into.size() > inode.current.size()) return io_error("read past the end");
  if (!into.empty()) std::memcpy(into.data(), inode.current.data() + offset, into.size());
  return {};
}

Result<void> FaultyFiles::change_name(NameChange change) {
  auto begun = begin_change();
  // The power went during this very call: the change may still have happened.
  if (powered_ || random_.one_in(2)) {
    apply(names_, change);
    unsynced_names_.push_back(std::move(change));
  }
  return begun;
}

void FaultyFiles::apply(FileBytes& to, std::uint64_t offset, ByteView bytes) {
  if (to.size() < offset + bytes.size()) to.resize(offset + bytes.size());
  if (!bytes.empty()) std::memcpy(to.data() + offset, bytes.data(), bytes.size());
}

void FaultyFiles::apply(Names& names, const NameChange& change) {
  if (!change.removed.empty()) names.erase(change.removed);
  if (!change.added.empty()) names[change.added] = change.inode;
}

std::uint64_t FaultyFiles::used_locked() const {
  std::uint64_t used = 0;
  for (const auto& [name, inode] : names_) used += inode->current.size();
  return used;
}

void FaultyFiles::set_sync_time(std::chrono::milliseconds time) {
  sync_ms_.store(time.count());
}

void FaultyFiles::delay_sync(const std::filesystem::path& path) {
  const std::int64_t ms = sync_ms_.load();
  if (ms > 0 && may_fail(path)) std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

void FaultyFiles::delay() {
  if (options_.yields_max == 0) return;
  std::uint64_t turns = 0;
  {
    std::scoped_lock lock(mutex_);
    turns = random_.below(options_.yields_max + 1);
  }
  for (; turns > 0; --turns) std::this_thread::yield();
}

// --- losing things -------------------------------------------------------------------------------

void FaultyFiles::cut_locked() {
  powered_ = false;
  ++injected_.power_cuts;
}

void FaultyFiles::lose_unsynced(Inode& inode) {
  // Each loss has its own odds, so that "nothing", "everything" and "all but one sector" come up.
  const std::uint64_t kept_percent[] = {0, 100, 50, 5, 95};
  const std::uint64_t kept = kept_percent[random_.below(5)];
  for (const Write& write : inode.unsynced) {
    const ByteView bytes(write.bytes);
    for (std::uint64_t at = 0; at < bytes.size();) {
      // Sectors are those of the file, also when a write begins inside of one.
      const std::uint64_t left = sector_bytes - (write.offset + at) % sector_bytes;
      const std::uint64_t size = std::min<std::uint64_t>(left, bytes.size() - at);
      if (random_.percent(kept)) apply(inode.durable, write.offset + at, bytes.subspan(at, size));
      at += size;
    }
  }
  inode.unsynced.clear();
  inode.current = inode.durable;
}

void FaultyFiles::drop_failed_sync(Inode& inode) {
  const std::uint64_t written_percent[] = {0, 50, 90};
  const std::uint64_t written = written_percent[random_.below(3)];
  for (const Write& write : inode.unsynced) {
    const ByteView bytes(write.bytes);
    for (std::uint64_t at = 0; at < bytes.size(); at += block_bytes) {
      const auto page = bytes.subspan(at, std::min<std::uint64_t>(block_bytes, bytes.size() - at));
      const std::uint64_t offset = write.offset + at;
      if (random_.percent(written)) {
        apply(inode.durable, offset, page);
      } else if (write.direct) {
        // Past the page cache, what was not written is not there. Through it, it is still read,
        // but will never be written.
        for (std::uint64_t i = offset; i < offset + page.size(); ++i) {
          inode.current[i] = i < inode.durable.size() ? inode.durable[i] : std::byte{0};
        }
      }
    }
  }
  inode.unsynced.clear();
}

void FaultyFiles::power_cut() {
  std::scoped_lock lock(mutex_);
  if (powered_) cut_locked();
}

void FaultyFiles::kill() {
  std::scoped_lock lock(mutex_);
  killed_ = true;
}

bool FaultyFiles::powered() const {
  std::scoped_lock lock(mutex_);
  return powered_ && !killed_;
}

void FaultyFiles::restart() {
  std::scoped_lock lock(mutex_);
  cut_in_ = write_error_in_ = sync_error_in_ = read_error_in_ = 0;
  ++generation_;
  killed_ = false;
  if (powered_) return;
  powered_ = true;
  std::size_t kept = unsynced_names_.size();
  if (options_.unsynced_names == FaultyOptions::Names::lost) kept = 0;
  if (options_.unsynced_names == FaultyOptions::Names::prefix) kept = random_.below(kept + 1);
  for (std::size_t i = 0; i < kept; ++i) apply(durable_names_, unsynced_names_[i]);
  unsynced_names_.clear();
  names_ = durable_names_;
  for (auto& [name, inode] : names_) lose_unsynced(*inode);
}

// --- scheduling and looking ----------------------------------------------------------------------

void FaultyFiles::power_cut_in(std::uint64_t calls) {
  std::scoped_lock lock(mutex_);
  cut_in_ = calls;
}

void FaultyFiles::write_error_in(std::uint64_t writes) {
  std::scoped_lock lock(mutex_);
  write_error_in_ = writes;
}

void FaultyFiles::sync_error_in(std::uint64_t syncs) {
  std::scoped_lock lock(mutex_);
  sync_error_in_ = syncs;
}

void FaultyFiles::read_error_in(std::uint64_t reads) {
  std::scoped_lock lock(mutex_);
  read_error_in_ = reads;
}

void FaultyFiles::set_capacity(std::uint64_t bytes) {
  std::scoped_lock lock(mutex_);
  options_.capacity = bytes;
}

void FaultyFiles::clear_faults() {
  std::scoped_lock lock(mutex_);
  cut_in_ = write_error_in_ = sync_error_in_ = read_error_in_ = 0;
}

void FaultyFiles::on_remove(std::function<void(const std::filesystem::path&)> hook) {
  std::scoped_lock lock(mutex_);
  on_remove_ = std::move(hook);
}

std::uint64_t FaultyFiles::changing_calls() const {
  std::scoped_lock lock(mutex_);
  return changing_calls_;
}

FaultyFiles::Injected FaultyFiles::injected() const {
  std::scoped_lock lock(mutex_);
  return injected_;
}

std::vector<std::string> FaultyFiles::paths() const {
  std::scoped_lock lock(mutex_);
  std::vector<std::string> all;
  for (const auto& [name, inode] : names_) all.push_back(name);
  return all;
}

std::optional<FileBytes> FaultyFiles::contents(const std::filesystem::path& path) const {
  std::scoped_lock lock(mutex_);
  auto found = names_.find(path.string());
  if (found == names_.end()) return std::nullopt;
  return found->second->current;
}

void FaultyFiles::put(const std::filesystem::path& path, FileBytes bytes) {
  std::scoped_lock lock(mutex_);
  auto inode = make_inode();
  inode->current = bytes;
  inode->durable = std::move(bytes);
  directories_[parent_of(path)] = true;
  names_[path.string()] = inode;
  durable_names_[path.string()] = inode;
}

void FaultyFiles::overwrite(const std::filesystem::path& path, FileBytes bytes) {
  std::scoped_lock lock(mutex_);
  const auto found = names_.find(path.string());
  TW_CHECK(found != names_.end());
  found->second->unsynced.clear();
  found->second->current = bytes;
  found->second->durable = std::move(bytes);
}

void FaultyFiles::erase(const std::filesystem::path& path) {
  std::scoped_lock lock(mutex_);
  names_.erase(path.string());
  durable_names_.erase(path.string());
}

void FaultyFiles::flip_bit(const std::filesystem::path& path, std::uint64_t bit) {
  std::scoped_lock lock(mutex_);
  auto found = names_.find(path.string());
  TW_CHECK(found != names_.end() && bit / 8 < found->second->current.size());
  const auto mask = static_cast<std::byte>(1U << (bit % 8));
  found->second->current[bit / 8] ^= mask;
  if (bit / 8 < found->second->durable.size()) found->second->durable[bit / 8] ^= mask;
}

FaultyFiles::Snapshot FaultyFiles::snapshot() const {
  std::scoped_lock lock(mutex_);
  Snapshot all;
  for (const auto& [name, inode] : names_) all[name] = inode->current;
  return all;
}

void FaultyFiles::restore(const Snapshot& snapshot) {
  {
    std::scoped_lock lock(mutex_);
    names_.clear();
    durable_names_.clear();
    unsynced_names_.clear();
  }
  for (const auto& [name, bytes] : snapshot) put(name, bytes);
}

}  // namespace trialwire::support
