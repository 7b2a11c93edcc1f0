// SPDX-License-Identifier: Apache-2.0
#include "audit/spool.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/private_file.hpp"
#include "telemetry/log.hpp"

namespace trialwire::audit {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t look_again_ns = 1'000'000'000;

class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return number_; }

 private:
  int number_;
};

std::unexpected<Error> failed(const char* what, const fs::path& path) {
  return std::unexpected(errno_error(fmt::format("{} {}", what, path.string()), errno));
}

/// What root makes here belongs to whose directory it is.
void give_to(int descriptor, const struct stat& owner) noexcept {
  if (::geteuid() == 0) static_cast<void>(::fchown(descriptor, owner.st_uid, owner.st_gid));
}

Result<void> make_directory(const fs::path& path, const struct stat& owner) {
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return {};
    return failed("cannot make", path);
  }
  Descriptor made(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (made.get() >= 0) give_to(made.get(), owner);
  return {};
}

Result<void> sync_directory(const fs::path& path) {
  Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return failed("cannot sync", path);
  return {};
}

Result<void> write_file(const fs::path& path, std::string_view text, const struct stat& owner) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0) return failed("cannot make", path);
  give_to(file.get(), owner);
  while (!text.empty()) {
    const auto written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("cannot write", path);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file.get()) != 0) return failed("cannot sync", path);
  return {};
}

}  // namespace

fs::path spool_directory(const fs::path& data_dir) {
  return data_dir / "audit" / "spool";
}

Result<void> leave_entry(const fs::path& data_dir, const Entry& entry) {
  struct stat owner{};
  if (::stat(data_dir.c_str(), &owner) != 0) return failed("cannot find data_dir", data_dir);
  const fs::path directory = spool_directory(data_dir);
  for (const fs::path& path : {directory.parent_path(), directory}) {
    if (auto made = make_directory(path, owner); !made) return made;
  }
  std::string text;
  append_json(text, entry);
  const std::string name = fmt::format("{:020}-{}", entry.at_ns, ::getpid());
  const fs::path temporary = directory / (name + ".tmp");
  auto written = write_file(temporary, text, owner);
  const fs::path file = directory / (name + ".json");
  if (written && ::rename(temporary.c_str(), file.c_str()) != 0) {
    written = failed("cannot make", file);
  }
  if (written) written = sync_directory(directory);
  if (!written) {
    ::unlink(temporary.c_str());
    ::unlink(file.c_str());
  }
  return written;
}

Spool::Spool(fs::path directory, Trail& trail, telemetry::Registry& metrics)
    : directory_(std::move(directory)),
      trail_(trail),
      waiting_files_(metrics.gauge("trialwire_audit_spool_files",
                                   "Entries of commands that the journal does not have yet.")),
      unreadable_(metrics.counter("trialwire_audit_spool_unreadable_total",
                                  "Files of the spool that are no entries: set aside.")) {}

/// The oldest; false: there is none.
bool Spool::next_file() {
  file_.clear();
  std::size_t files = 0;
  std::error_code error;
  for (fs::directory_iterator at(directory_, error), end; !error && at != end;
       at.increment(error)) {
    if (at->path().extension() != ".json") continue;
    ++files;
    if (file_.empty() || at->path() < file_) file_ = at->path();
  }
  waiting_files_.set(static_cast<double>(files));
  return files > 0;
}

void Spool::tick(std::int64_t unix_ns) {
  if (waiting_ || unix_ns < idle_until_ns_) return;
  idle_until_ns_ = unix_ns + look_again_ns;
  if (!next_file()) return;
  auto text = read_guarded_file(file_, FileAccess::secret, spool_bytes_max);
  if (!text) return set_aside(text.error().text);
  journal::Record record;
  record.attributes.content_type = journal::ContentType::json;
  record.bytes = as_bytes(*text);
  auto entry = reader_.read(record);
  if (!entry) return set_aside(entry.error().text);
  const Trail::Written written{.json = *text,
                               .who = entry->who,
                               .what = entry->what,
                               .origin = entry->origin,
                               .identity = SipHasher(trail_.identity_key())
                                               .field("audit")
                                               .field(file_.filename().string())
                                               .finish()};
  waiting_ = trail_.admit() && trail_.add(written, unix_ns, *this);
  if (waiting_) idle_until_ns_ = unix_ns;
}

void Spool::set_aside(std::string_view reason) {
  unreadable_.add();
  telemetry::log(telemetry::LogLevel::error, "audit", "a file of the spool is no entry: set aside",
                 {{"file", file_.string()}, {"reason", reason}});
  std::error_code error;
  fs::rename(file_, fs::path(file_).concat(".unreadable"), error);
}

void Spool::committed(const journal::Receipt& receipt) noexcept {
  waiting_ = false;
  if (receipt.state == journal::Receipt::State::durable) {
    ::unlink(file_.c_str());
    return;
  }
  if (receipt.state == journal::Receipt::State::conflict) {
    set_aside("an entry of that name with another content is there already");
  } else {
    trail_.refused();
  }
}

}  // namespace trialwire::audit
