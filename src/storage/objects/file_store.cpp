// SPDX-License-Identifier: Apache-2.0
#include "storage/objects/file_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/uuid.hpp"
#include "storage/directory_check.hpp"
#include "storage/objects/object_names.hpp"

namespace trialwire::storage {
namespace {

using std::filesystem::path;

constexpr std::string_view partial_name = ".partial";

std::unexpected<Error> failed(std::string_view doing, const path& file, int error) {
  Error made = errno_error(fmt::format("cannot {} {}", doing, file.native()), error);
  if (error == ENOENT) made.code = ErrorCode::not_found;
  return std::unexpected(std::move(made));
}

/// An open file; closed by its destructor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const noexcept { return number_; }
  bool open() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

Result<void> sync_directory(const path& directory) {
  const Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.open()) return failed("open", directory, errno);
  if (::fsync(opened.number()) != 0) return failed("sync", directory, errno);
  return {};
}

/// With those above it, 0700; each that is made is durable in its parent.
Result<void> make_directory(const path& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0) {
    if (errno == EEXIST) return {};
    if (errno != ENOENT || directory.parent_path() == directory) {
      return failed("create", directory, errno);
    }
    if (auto parent = make_directory(directory.parent_path()); !parent) return parent;
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return failed("create", directory, errno);
    }
  }
  return sync_directory(directory.parent_path());
}

class FileUpload final : public ObjectUpload {
 public:
  FileUpload(Descriptor file, path partial, path target, PutMode mode)
      : file_(std::move(file)),
        partial_(std::move(partial)),
        target_(std::move(target)),
        mode_(mode) {}
  ~FileUpload() override {
    if (!moved_) ::unlink(partial_.c_str());
  }

  Result<void> write(ByteView bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_.number(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failed("write", target_, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }

  Result<void> commit() override {
    if (::fsync(file_.number()) != 0) return failed("sync", target_, errno);
    // Clean now, and not to be read again but for the proof that the disk has them.
    ::posix_fadvise(file_.number(), 0, 0, POSIX_FADV_DONTNEED);
    if (auto made = make_directory(target_.parent_path()); !made) return made;
    if (auto placed = place(); !placed) return placed;
    moved_ = true;
    return sync_directory(target_.parent_path());
  }

 private:
  Result<void> place() {
    if (mode_ == PutMode::replace) {
      if (::rename(partial_.c_str(), target_.c_str()) == 0) return {};
      return failed("create", target_, errno);
    }
    if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE) == 0) {
      return {};
    }
    int error = errno;
    if (error == EINVAL || error == ENOSYS) {
      // A file system without it (NFS). A link does the same in two steps.
      error = ::link(partial_.c_str(), target_.c_str()) == 0 ? 0 : errno;
      if (error == 0) ::unlink(partial_.c_str());
    }
    if (error == 0) return {};
    if (error == EEXIST) {
      return fail(ErrorCode::conflict, fmt::format("{} exists already", target_.native()));
    }
    return failed("create", target_, error);
  }

  Descriptor file_;
  path partial_;
  path target_;
  PutMode mode_;
  bool moved_ = false;
};

class FileStream final : public ByteStream {
 public:
  FileStream(Descriptor file, path name, ByteRange range)
      : file_(std::move(file)), name_(std::move(name)), range_(range) {}

  Result<std::size_t> read(MutableBytes into) override {
    std::size_t filled = 0;
    const std::size_t wanted = std::min<std::uint64_t>(into.size(), range_.bytes);
    while (filled < wanted) {
      const ssize_t got = ::pread(file_.number(), into.data() + filled, wanted - filled,
                                  static_cast<off_t>(range_.offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed("read", name_, errno);
      if (got == 0) break;
      filled += static_cast<std::size_t>(got);
      range_.offset += static_cast<std::uint64_t>(got);
      range_.bytes -= static_cast<std::uint64_t>(got);
    }
    return filled;
  }

 private:
  Descriptor file_;
  path name_;
  ByteRange range_;  // what is left
};

class FileStore final : public ObjectStore {
 public:
  explicit FileStore(path root)
      : root_(std::filesystem::absolute(root).lexically_normal()), url_("file:" + root_.native()) {
    if (!root_.has_filename()) root_ = root_.parent_path();
  }

  const std::string& url() const noexcept override { return url_; }
  Result<bool> check() override { return check_directory(root_); }

  Result<std::unique_ptr<ObjectUpload>> put(std::string_view name, PutMode mode) override {
    const auto target = path_of(name);
    if (!target) return std::unexpected(target.error());
    const path partials = root_ / partial_name;
    if (auto made = make_directory(partials); !made) return std::unexpected(made.error());
    if (!swept_.exchange(true)) sweep(partials);
    const path partial = partials / Uuid::random().text();
    Descriptor file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.open()) return failed("create", partial, errno);
    if (::flock(file.number(), LOCK_EX | LOCK_NB) != 0) return failed("lock", partial, errno);
    return std::make_unique<FileUpload>(std::move(file), partial, *target, mode);
  }

  Result<std::unique_ptr<ByteStream>> get(std::string_view name, ByteRange range) override {
    const auto target = path_of(name);
    if (!target) return std::unexpected(target.error());
    Descriptor file(::open(target->c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file.open()) return failed("open", *target, errno);
    return std::make_unique<FileStream>(std::move(file), *target, range);
  }

  Result<std::uint64_t> size(std::string_view name) override {
    const auto target = path_of(name);
    if (!target) return std::unexpected(target.error());
    struct stat status{};
    if (::lstat(target->c_str(), &status) != 0) return failed("look at", *target, errno);
    if (!S_ISREG(status.st_mode)) {
      return fail(ErrorCode::io, fmt::format("{} is not a file", target->native()));
    }
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<void> list(std::string_view prefix,
                    const std::function<bool(std::string_view)>& visit) override {
    // From the directory that all such names are in.
    const std::size_t slash = prefix.rfind('/');
    std::string directory(slash == std::string_view::npos ? "" : prefix.substr(0, slash + 1));
    if (!directory.empty() && !is_object_name(directory.substr(0, directory.size() - 1))) return {};
    bool more = true;
    return walk(directory, prefix, visit, more);
  }

  Result<void> remove(std::string_view name) override {
    const auto target = path_of(name);
    if (!target) return std::unexpected(target.error());
    if (::unlink(target->c_str()) != 0) {
      if (errno == ENOENT) return {};
      return failed("remove", *target, errno);
    }
    return sync_directory(target->parent_path());
  }

 private:
  Result<path> path_of(std::string_view name) const {
    if (is_object_name(name)) return root_ / name;
    return fail(ErrorCode::invalid_argument, "not the name of an object");
  }

  /// `directory`: "" or "a/b/". Sets `more` to false when `visit` wants no more.
  Result<void> walk(const std::string& directory, std::string_view prefix,
                    const std::function<bool(std::string_view)>& visit, bool& more) {
    auto names = entries(root_ / directory);
    if (!names) return std::unexpected(names.error());
    for (const std::string& entry : *names) {
      const std::string name = directory + entry;
      if (entry.back() == '/') {
        // Only where names with the prefix can be.
        const std::size_t common = std::min(name.size(), prefix.size());
        if (name.compare(0, common, prefix.substr(0, common)) != 0) continue;
        if (auto walked = walk(name, prefix, visit, more); !walked) return walked;
      } else if (name.starts_with(prefix)) {
        more = visit(name);
      }
      if (!more) break;
    }
    return {};
  }

  /// Names in it that may be objects' or parts of them, none when it does not exist. Those of
  /// directories end in '/', so that their order is that of the objects' names.
  static Result<std::vector<std::string>> entries(const path& directory) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(directory.c_str()), ::closedir);
    if (opened == nullptr) {
      if (errno == ENOENT) return names;
      return failed("list", directory, errno);
    }
    errno = 0;
    while (const dirent* entry = ::readdir(opened.get())) {
      std::string name = entry->d_name;
      if (!is_object_name_part(name)) continue;
      const bool is_directory =
          entry->d_type == DT_DIR ||
          (entry->d_type == DT_UNKNOWN && std::filesystem::is_directory(directory / name));
      if (is_directory) name += '/';
      names.push_back(std::move(name));
      errno = 0;
    }
    if (errno != 0) return failed("list", directory, errno);
    std::ranges::sort(names);
    return names;
  }

  /// Deletes what no living process writes any more.
  static void sweep(const path& partials) {
    const auto names = entries(partials);
    if (!names) return;
    for (const std::string& name : *names) {
      const path left = partials / name;
      const Descriptor file(::open(left.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
      if (file.open() && ::flock(file.number(), LOCK_EX | LOCK_NB) == 0) ::unlink(left.c_str());
    }
  }

  path root_;
  std::string url_;
  std::atomic<bool> swept_{false};
};

}  // namespace

std::unique_ptr<ObjectStore> make_file_store(path root) {
  return std::make_unique<FileStore>(std::move(root));
}

}  // namespace trialwire::storage
