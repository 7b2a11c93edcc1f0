// SPDX-License-Identifier: Apache-2.0
#include "support/tearing_sqlite.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "support/random.hpp"

namespace trialwire::support {

namespace {

constexpr std::size_t sector = 512;

using Bytes = std::vector<char>;

struct Write {
  std::size_t offset = 0;
  Bytes bytes;
  bool truncates = false;  // to `offset`
};

/// A file as a power cut sees it.
struct Tracked {
  Bytes durable;
  std::vector<Write> unsynced;
  bool removed = false;
};

void apply(Bytes& to, std::size_t offset, const char* from, std::size_t size) {
  if (to.size() < offset + size) to.resize(offset + size);
  std::memcpy(to.data() + offset, from, size);
}

void apply(Bytes& to, const Write& write) {
  if (write.truncates) {
    to.resize(std::min(to.size(), write.offset));
  } else {
    apply(to, write.offset, write.bytes.data(), write.bytes.size());
  }
}

}  // namespace

struct TearingSqlite::State {
  explicit State(std::uint64_t seed) : random(seed) {}

  Random random;
  sqlite3_vfs vfs{};
  sqlite3_vfs* real = nullptr;
  std::map<std::string, Tracked> files;
  std::uint64_t cut_in = 0;
  bool powered = true;

  /// Counts a changing call; false: the power is off, or goes now.
  bool change() {
    if (powered && cut_in != 0 && --cut_in == 0) powered = false;
    return powered;
  }
};

namespace {

using State = TearingSqlite::State;

/// What SQLite holds; the real file lies behind it in the same memory.
struct OpenFile {
  sqlite3_file base;
  State* state;
  Tracked* tracked;  // null: not durable by nature (temporary files)
};

sqlite3_file* real_of(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<OpenFile*>(file) + 1);
}
OpenFile& open_of(sqlite3_file* file) {
  return *reinterpret_cast<OpenFile*>(file);
}

int close_file(sqlite3_file* file) {
  sqlite3_file* real = real_of(file);
  return real->pMethods == nullptr ? SQLITE_OK : real->pMethods->xClose(real);
}

int read_file(sqlite3_file* file, void* into, int size, sqlite3_int64 offset) {
  if (!open_of(file).state->powered) return SQLITE_IOERR_READ;
  return real_of(file)->pMethods->xRead(real_of(file), into, size, offset);
}

int write_file(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  OpenFile& open = open_of(file);
  const bool was_powered = open.state->powered;
  const bool goes_on = open.state->change();
  if (was_powered && open.tracked != nullptr) {
    const auto* bytes = static_cast<const char*>(from);
    open.tracked->unsynced.push_back(
        {static_cast<std::size_t>(offset), Bytes(bytes, bytes + size), false});
  }
  if (!goes_on) return SQLITE_IOERR_WRITE;
  return real_of(file)->pMethods->xWrite(real_of(file), from, size, offset);
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  OpenFile& open = open_of(file);
  if (!open.state->change()) return SQLITE_IOERR_TRUNCATE;
  if (open.tracked != nullptr) {
    open.tracked->unsynced.push_back({static_cast<std::size_t>(size), {}, true});
  }
  return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

int sync_file(sqlite3_file* file, int flags) {
  OpenFile& open = open_of(file);
  if (!open.state->change()) return SQLITE_IOERR_FSYNC;
  if (open.tracked != nullptr) {
    for (const Write& write : open.tracked->unsynced) apply(open.tracked->durable, write);
    open.tracked->unsynced.clear();
  }
  // The real disk need not be asked: only what this layer takes for durable counts.
  static_cast<void>(flags);
  return SQLITE_OK;
}

int size_of_file(sqlite3_file* file, sqlite3_int64* size) {
  return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
int lock_file(sqlite3_file* file, int level) {
  return real_of(file)->pMethods->xLock(real_of(file), level);
}
int unlock_file(sqlite3_file* file, int level) {
  return real_of(file)->pMethods->xUnlock(real_of(file), level);
}
int check_reserved(sqlite3_file* file, int* result) {
  return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}
int control(sqlite3_file* file, int operation, void* argument) {
  return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}
int sector_size(sqlite3_file*) {
  return sector;
}
// None: not even that a write of one sector spares its neighbours is promised.
int characteristics(sqlite3_file*) {
  return 0;
}
int shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** at) {
  return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, at);
}
int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}
void shm_barrier(sqlite3_file* file) {
  real_of(file)->pMethods->xShmBarrier(real_of(file));
}
int shm_unmap(sqlite3_file* file, int remove) {
  return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

constexpr sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = size_of_file,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_reserved,
    .xFileControl = control,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

State& state_of(sqlite3_vfs* vfs) {
  return *static_cast<State*>(vfs->pAppData);
}

int open_file(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* out) {
  State& state = state_of(vfs);
  OpenFile& open = open_of(file);
  std::memset(file, 0, static_cast<std::size_t>(vfs->szOsFile));
  if (!state.powered) return SQLITE_CANTOPEN;
  const int code = state.real->xOpen(state.real, name, real_of(file), flags, out);
  if (code != SQLITE_OK) return code;
  open.base.pMethods = &methods;
  open.state = &state;
  if (name != nullptr) open.tracked = &state.files[name];
  if (open.tracked != nullptr) open.tracked->removed = false;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  State& state = state_of(vfs);
  if (!state.change()) return SQLITE_IOERR_DELETE;
  const auto found = state.files.find(name);
  if (found != state.files.end()) found->second = {.removed = true};
  static_cast<void>(sync_directory);
  return state.real->xDelete(state.real, name, 0);
}

}  // namespace

TearingSqlite::TearingSqlite(std::uint64_t seed) : state_(std::make_unique<State>(seed)) {
  TW_CHECK(sqlite3_initialize() == SQLITE_OK);
  state_->real = sqlite3_vfs_find(nullptr);
  state_->vfs = *state_->real;
  state_->vfs.zName = "tearing";
  state_->vfs.pNext = nullptr;
  state_->vfs.pAppData = state_.get();
  state_->vfs.szOsFile = static_cast<int>(sizeof(OpenFile)) + state_->real->szOsFile;
  state_->vfs.xOpen = open_file;
  state_->vfs.xDelete = delete_file;
  TW_CHECK(sqlite3_vfs_register(&state_->vfs, 1) == SQLITE_OK);
}

TearingSqlite::~TearingSqlite() {
  sqlite3_vfs_unregister(&state_->vfs);
  sqlite3_vfs_register(state_->real, 1);
}

void TearingSqlite::power_cut_in(std::uint64_t calls) {
  state_->cut_in = calls;
}

bool TearingSqlite::powered() const {
  return state_->powered;
}

void TearingSqlite::restart() {
  TW_CHECK(!state_->powered);
  const std::uint64_t odds[] = {0, 100, 50, 95};
  for (auto& [name, file] : state_->files) {
    if (file.removed) continue;
    const std::uint64_t kept = odds[state_->random.below(4)];
    for (const Write& write : file.unsynced) {
      if (write.truncates) {
        if (state_->random.percent(kept)) apply(file.durable, write);
        continue;
      }
      for (std::size_t at = 0; at < write.bytes.size();) {
        const std::size_t size =
            std::min(sector - (write.offset + at) % sector, write.bytes.size() - at);
        if (state_->random.percent(kept)) {
          apply(file.durable, write.offset + at, write.bytes.data() + at, size);
        }
        at += size;
      }
    }
    file.unsynced.clear();
    std::filesystem::remove(name);  // a new file: to truncate the old one waits for the disk
    std::ofstream(name, std::ios::binary | std::ios::trunc)
        .write(file.durable.data(), static_cast<std::streamsize>(file.durable.size()));
    std::filesystem::remove(name + "-shm");
  }
  state_->powered = true;
  state_->cut_in = 0;
}

}  // namespace trialwire::support
