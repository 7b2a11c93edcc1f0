// SPDX-License-Identifier: Apache-2.0
// A disk in memory that keeps exactly what a real one promises to keep, and no more.
//
// Each file has two contents: what is read back, and what a power cut leaves. `sync` makes the
// first the second; `sync_directory` does so for names. At a power cut every write that was not
// synced survives or not, for each 512-byte sector on its own; names that were not synced survive
// in the order they were made, up to a random one, all, or none. From then on every call fails
// until `restart`. A killed process (`kill`) loses nothing but its open files.
//
// Faults are scheduled by counting calls, so that with one thread a seed says everything; with
// several threads it says everything but their interleaving. Safe for use by any threads.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "journal/file_layer.hpp"
#include "support/random.hpp"

namespace trialwire::support {

using FileBytes = std::vector<std::byte>;

struct FaultyOptions {
  std::uint64_t seed = 1;
  bool direct = true;                   // does it take direct writes?
  std::uint64_t capacity = 1ULL << 40;  // bytes of all files; beyond: disk_full
  enum class Names : std::uint8_t { lost, kept, prefix } unsynced_names = Names::prefix;
  std::string errors_only_in;       // EIO and ENOSPC strike paths that begin so; "": all
  bool errors_in_temporary = true;  // and those named *.tmp, which are tried again
  unsigned yields_max = 0;          // a write or sync takes up to so many turns
};

class FaultyFiles final : public journal::FileLayer {
 public:
  explicit FaultyFiles(const FaultyOptions& options);
  ~FaultyFiles() override;

  Result<std::unique_ptr<journal::File>> open(const std::filesystem::path& path,
                                              journal::OpenMode mode, bool direct) override;
  Result<std::vector<std::string>> list(const std::filesystem::path& directory) override;
  Result<void> create_directory(const std::filesystem::path& directory) override;
  Result<std::unique_ptr<journal::DirectoryLock>> lock(const std::filesystem::path& path) override;
  Result<journal::FileIdentity> identity(const std::filesystem::path& path) override;
  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Result<void> remove(const std::filesystem::path& path) override;
  Result<void> sync_directory(const std::filesystem::path& directory) override;
  Result<bool> supports_direct(const std::filesystem::path& directory) override;

  // --- faults ---------------------------------------------------------------------------------
  /// The power goes at the n-th changing call from now: 1 is the next one. That call, too, may have
  /// had any part of its effect.
  void power_cut_in(std::uint64_t calls);
  /// The n-th write from now fails with EIO; any part of it may be written. Once.
  void write_error_in(std::uint64_t writes);
  /// The n-th sync of a file from now fails with EIO, as Linux does it: what was unsynced is then
  /// clean, some of it never written, and the next sync succeeds. Once.
  void sync_error_in(std::uint64_t syncs);
  void read_error_in(std::uint64_t reads);
  void set_capacity(std::uint64_t bytes);
  /// Whatever makes bytes of a file durable takes so long; others go on meanwhile.
  void set_sync_time(std::chrono::milliseconds time);
  void clear_faults();

  /// Now. Idempotent.
  void power_cut();
  /// The process is gone: its open files fail, nothing is lost.
  void kill();
  bool powered() const;
  /// After `power_cut` or `kill`: the machine, or the process, starts again.
  void restart();

  /// Called before a removal takes effect, on the remover's thread.
  void on_remove(std::function<void(const std::filesystem::path&)> hook);
  std::uint64_t changing_calls() const;
  /// Errors that this disk has returned, by cause.
  struct Injected {
    std::uint64_t power_cuts = 0, write_errors = 0, sync_errors = 0, disk_full = 0;
  };
  Injected injected() const;

  // --- behind the back of whoever uses it; durable at once --------------------------------------
  std::vector<std::string> paths() const;
  std::optional<FileBytes> contents(const std::filesystem::path& path) const;
  void put(const std::filesystem::path& path, FileBytes bytes);
  /// Keeps the file's identity; `put` makes a new one.
  void overwrite(const std::filesystem::path& path, FileBytes bytes);
  void erase(const std::filesystem::path& path);
  void flip_bit(const std::filesystem::path& path, std::uint64_t bit);
  using Snapshot = std::map<std::string, FileBytes>;
  Snapshot snapshot() const;
  void restore(const Snapshot& snapshot);

 private:
  friend class FaultyFile;
  friend class FaultyLock;
  struct Write {
    std::uint64_t offset = 0;
    FileBytes bytes;
    bool direct = false;
  };
  struct Inode {
    std::uint64_t number = 0;
    FileBytes current;            // what is read
    FileBytes durable;            // what a power cut leaves, before the luck of `unsynced`
    std::vector<Write> unsynced;  // in the order they were made
  };
  using InodePtr = std::shared_ptr<Inode>;
  using Names = std::map<std::string, InodePtr>;
  struct NameChange {
    std::string directory;
    std::string removed;  // empty: none
    std::string added;    // empty: none
    InodePtr inode;
  };

  struct Change {
    std::uint64_t offset = 0;
    ByteView bytes;
    bool direct = false;
  };
  bool may_fail(const std::filesystem::path& path) const;
  InodePtr make_inode();
  Result<void> write(Inode& inode, const Change& change, bool may_fail);
  Result<void> write_through(Inode& inode, const Change& change, bool may_fail);
  Result<void> sync(Inode& inode, bool may_fail);
  Result<void> read(const Inode& inode, std::uint64_t offset, MutableBytes into);
  Result<void> change_name(NameChange change);

  Result<void> begin_change();
  void delay();
  void delay_sync(const std::filesystem::path& path);
  void cut_locked();
  void lose_unsynced(Inode& inode);
  void drop_failed_sync(Inode& inode);
  std::uint64_t used_locked() const;
  static void apply(FileBytes& to, std::uint64_t offset, ByteView bytes);
  static void apply(Names& names, const NameChange& change);

  FaultyOptions options_;
  mutable std::mutex mutex_;
  Random random_;
  Names names_, durable_names_;
  std::map<std::string, bool> directories_;
  std::vector<NameChange> unsynced_names_;
  std::map<std::string, std::uint64_t> locks_;  // path → generation of its holder
  std::uint64_t next_inode_ = 1;
  std::uint64_t generation_ = 1;
  bool powered_ = true;
  std::atomic<std::int64_t> sync_ms_{0};
  bool killed_ = false;
  std::uint64_t changing_calls_ = 0;
  std::uint64_t cut_in_ = 0, write_error_in_ = 0, sync_error_in_ = 0, read_error_in_ = 0;
  std::function<void(const std::filesystem::path&)> on_remove_;
  Injected injected_;
};

}  // namespace trialwire::support
