// SPDX-License-Identifier: Apache-2.0
// Takes profiles of this process, one at a time, on a thread of its own ("profiler"), which sleeps
// when none is asked for. What costs nothing while there is no profile: the CPU profile, heap
// samples unless `heap_always`.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/error.hpp"
#include "profile_files.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/profile/profile.hpp"

namespace trialwire {

struct ProfileOptions {
  std::chrono::seconds longest{120};
  std::uint32_t rate = 100;  // samples of a second of a thread's processor time
  std::size_t stacks_max = 16'384;
  std::chrono::seconds on_signal{10};
  std::size_t files_kept = 8;
  std::uint64_t heap_interval = 512 << 10;  // bytes
  bool heap_always = false;
  std::filesystem::path directory;
};

enum class ProfileForm : std::uint8_t { gperftools, proto, flame_graph };

struct ProfileRequest {
  telemetry::ProfileKind kind = telemetry::ProfileKind::cpu;
  ProfileForm form = ProfileForm::gperftools;
  std::chrono::seconds time{0};
  /// True: nobody waits for it any longer.
  std::shared_ptr<const std::atomic<bool>> given_up;
};

/// Called once, on the profiler's thread.
using ProfileDone = std::move_only_function<void(Result<std::string>)>;

class ProfileService {
 public:
  /// Outlived by the registry. With `heap_always` allocations are sampled from here on.
  ProfileService(ProfileOptions options, telemetry::Registry& metrics);
  ~ProfileService();
  ProfileService(const ProfileService&) = delete;
  ProfileService& operator=(const ProfileService&) = delete;

  void start();
  /// Ends the one under way, whose `done` is called with `unavailable`.
  void stop() noexcept;

  /// Error: conflict, there is one under way, `done` is not called; unavailable: it is stopping.
  Result<void> take(ProfileRequest request, ProfileDone done);
  /// The error of who asks while one is being taken.
  static Error taken();
  /// One is being taken. Any thread.
  bool busy() const noexcept { return busy_.load(); }
  std::chrono::seconds longest() const noexcept { return options_.longest; }

  /// SIGUSR2: CPU and heap into files, in both forms; logs where. Returns at once.
  void take_to_files();
  /// SIGUSR1: all threads with their stacks into a file; logs where. Within a second.
  void list_threads_to_file();

 private:
  struct Job {
    ProfileRequest request;
    ProfileDone done;  // empty: into files
  };
  struct Counters;

  Result<void> begin(Job job);
  void run(const std::stop_token& stop);
  Result<std::string> answer(const ProfileRequest& request, const std::stop_token& stop);
  Result<telemetry::Profile> cpu(const ProfileRequest& request, const std::stop_token& stop);
  Result<telemetry::Profile> heap(const ProfileRequest& request, const std::stop_token& stop);
  void files(const ProfileRequest& request, const std::stop_token& stop);
  void write_profile(std::string_view kind, const Result<telemetry::Profile>& profile);
  bool pause(std::chrono::nanoseconds time, const ProfileRequest& request,
             const std::stop_token& stop);

  const ProfileOptions options_;
  const ProfileFiles files_;
  std::unique_ptr<Counters> counters_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Job> job_;  // until it is done
  bool stopping_ = true;
  std::atomic<bool> busy_{false};
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace trialwire
