// SPDX-License-Identifier: Apache-2.0
// How long this device takes to make 4 KiB durable: writes them with O_DIRECT into a file that was
// written before, one block after the other, and calls fdatasync after each. Prints one JSON
// object:
//   {"direct":true,"syncs":2000,"p50Us":91.2,"p99Us":160.4,"maxUs":812.0}
// With MILLISECONDS it sleeps so long before each, beside other load, and adds how late it was
// woken:
//   "lateP50Us":61.0,"lateP99Us":2104.7,"lateMaxUs":9120.3
// Usage: fdatasync_probe DIRECTORY [SYNCS [MILLISECONDS]]. Exit 1 when the directory refuses
// O_DIRECT or the file.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr std::size_t block_bytes = 4096;
constexpr std::size_t file_blocks = 4096;  // 16 MiB

double now_us() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

int refuse(const char* what) {
  fmt::print("{{\"direct\":false,\"error\":\"{}: {}\"}}\n", what, std::strerror(errno));
  return 1;
}

struct Unlink {
  explicit Unlink(std::string path_) : path(std::move(path_)) {}
  Unlink(const Unlink&) = delete;
  Unlink& operator=(const Unlink&) = delete;
  ~Unlink() { ::unlink(path.c_str()); }
  std::string path;
};

/// Sleeps; returns how late it went on, in µs.
double sleep_ms(long milliseconds) {
  const double start = now_us();
  const timespec span{.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1'000'000};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &span, nullptr);
  return now_us() - start - static_cast<double>(milliseconds) * 1e3;
}

std::string quantiles(std::vector<double>& times, const char* names) {
  std::sort(times.begin(), times.end());
  return fmt::format(fmt::runtime(names), times[times.size() / 2], times[times.size() * 99 / 100],
                     times.back());
}

int probe(const std::string& path, std::size_t syncs, long pause_ms) {
  const std::unique_ptr<void, decltype(&std::free)> block(
      std::aligned_alloc(block_bytes, block_bytes), &std::free);
  std::memset(block.get(), 0x5a, block_bytes);
  const int plain = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (plain < 0) return refuse("create");
  const Unlink cleanup(path);
  for (std::size_t i = 0; i < file_blocks; ++i) {
    if (::write(plain, block.get(), block_bytes) != static_cast<ssize_t>(block_bytes)) {
      return refuse("fill");
    }
  }
  if (::fsync(plain) != 0) return refuse("fsync");
  ::close(plain);

  const int direct = ::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC);
  if (direct < 0) return refuse("O_DIRECT");
  std::vector<double> times, late;
  times.reserve(syncs);
  for (std::size_t i = 0; i < syncs; ++i) {
    if (pause_ms > 0) late.push_back(sleep_ms(pause_ms));
    const double start = now_us();
    const auto offset = static_cast<off_t>(i % file_blocks * block_bytes);
    if (::pwrite(direct, block.get(), block_bytes, offset) != static_cast<ssize_t>(block_bytes)) {
      return refuse("write");
    }
    if (::fdatasync(direct) != 0) return refuse("fdatasync");
    times.push_back(now_us() - start);
  }
  ::close(direct);
  fmt::print("{{\"direct\":true,\"syncs\":{}{}{}}}\n", syncs,
             quantiles(times, ",\"p50Us\":{:.1f},\"p99Us\":{:.1f},\"maxUs\":{:.1f}"),
             late.empty() ? ""
                          : quantiles(late,
                                      ",\"lateP50Us\":{:.1f},\"lateP99Us\":{:.1f},"
                                      "\"lateMaxUs\":{:.1f}"));
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    fmt::print(stderr, "usage: fdatasync_probe DIRECTORY [SYNCS [MILLISECONDS]]\n");
    return 2;
  }
  const auto syncs = count > 2 ? static_cast<std::size_t>(std::max(std::atoi(arguments[2]), 1))
                               : std::size_t{2000};
  const long pause_ms = count > 3 ? std::max(std::atol(arguments[3]), 0L) : 0;
  return probe(std::string(arguments[1]) + "/fdatasync_probe.tmp", syncs, pause_ms);
}
