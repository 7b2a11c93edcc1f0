// SPDX-License-Identifier: Apache-2.0
#include "profile_service.hpp"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "loadgen/gzip.hpp"
#include "runtime/signals_blocked.hpp"
#include "telemetry/log.hpp"
#include "telemetry/profile/cpu_sampler.hpp"
#include "telemetry/profile/flame_graph.hpp"
#include "telemetry/profile/heap_sampler.hpp"
#include "telemetry/profile/profile_forms.hpp"
#include "telemetry/profile/profile_signal.hpp"
#include "telemetry/profile/thread_list.hpp"

namespace trialwire {
namespace {

using telemetry::Labels;
using telemetry::log;
using telemetry::LogLevel;
using telemetry::Profile;
using telemetry::ProfileKind;
using Clock = std::chrono::steady_clock;

std::int64_t unix_now_ns() {
  const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
  return now.count();
}

Error stopped() {
  return {ErrorCode::unavailable, "the server is stopping"};
}

std::string flame_graph(const Profile& profile, telemetry::Symbols& symbols) {
  std::int64_t samples = 0;
  for (const auto& sample : profile.samples) samples += sample.count;
  telemetry::FlameGraphOptions options;
  options.title = "trialwire: where processor time goes";
  options.subtitle = fmt::format(
      "{} samples of {:g} ms of CPU in {:.1f} s. A box is as wide as its share; on it "
      "is what it calls. Click to widen, click the lowest to see all.",
      samples, static_cast<double>(profile.period) / 1e6,
      static_cast<double>(profile.duration_ns) / 1e9);
  return telemetry::flame_graph_svg(named_stacks(profile, symbols), options);
}

std::string in_form(const Profile& profile, ProfileForm form) {
  telemetry::Symbols symbols;
  if (form == ProfileForm::flame_graph) return flame_graph(profile, symbols);
  if (form == ProfileForm::gperftools) return profile_gperftools(profile, symbols);
  return loadgen::gzip(profile_proto(profile, symbols));
}

}  // namespace

struct ProfileService::Counters {
  explicit Counters(telemetry::Registry& metrics)
      : cpu(metrics.counter("trialwire_profiles_total", "Profiles taken of this process.",
                            {{"kind", "cpu"}})),
        heap(metrics.counter("trialwire_profiles_total", "", {{"kind", "heap"}})),
        lost(metrics.counter("trialwire_profile_samples_lost_total",
                             "Samples of CPU profiles that found no room.")) {}
  // Of the profiler's thread.
  telemetry::Counter& cpu;
  telemetry::Counter& heap;
  telemetry::Counter& lost;
};

ProfileService::ProfileService(ProfileOptions options, telemetry::Registry& metrics)
    : options_(std::move(options)),
      files_(options_.directory, options_.files_kept),
      counters_(std::make_unique<Counters>(metrics)) {
  telemetry::prepare_profile_signal();
  metrics.observe("trialwire_profile_active", "1 while a profile is taken.", {},
                  [this] { return busy_.load() ? 1.0 : 0.0; });
  metrics.observe("trialwire_profile_files", "Files in data_dir/profiles.", {},
                  [this] { return static_cast<double>(files_.count()); });
  metrics.observe("trialwire_heap_sample_stacks",
                  "Stacks known to heap samples, of 8,192; 0 while they are off.", {},
                  [] { return static_cast<double>(telemetry::heap_sample_state().stacks); });
  metrics.observe("trialwire_heap_sample_objects",
                  "Objects in use that heap samples remember, of 32,768.", {},
                  [] { return static_cast<double>(telemetry::heap_sample_state().objects); });
  metrics.observe("trialwire_heap_samples_lost", "Heap samples that found no room, of this run.",
                  {}, [] { return static_cast<double>(telemetry::heap_sample_state().lost); });
  if (!options_.heap_always) return;
  if (auto started = telemetry::start_heap_samples(options_.heap_interval); !started) {
    log(LogLevel::warn, "profile", "allocations are not sampled",
        {{"reason", std::string_view(started.error().text)}});
  }
}

ProfileService::~ProfileService() {
  stop();
}

void ProfileService::start() {
  const std::scoped_lock lock(mutex_);
  stopping_ = false;
  const runtime::SignalsBlocked blocked;
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void ProfileService::stop() noexcept {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

Error ProfileService::taken() {
  return {ErrorCode::conflict, "a profile is being taken already"};
}

Result<void> ProfileService::begin(Job job) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return std::unexpected(stopped());
    if (job_) return std::unexpected(taken());
    job_ = std::move(job);
    busy_.store(true);
  }
  changed_.notify_all();
  return {};
}

Result<void> ProfileService::take(ProfileRequest request, ProfileDone done) {
  return begin({std::move(request), std::move(done)});
}

void ProfileService::take_to_files() {
  ProfileRequest request;
  request.time = options_.on_signal;
  if (auto begun = begin({std::move(request), {}}); !begun) {
    log(LogLevel::warn, "profile", "no profile was taken",
        {{"reason", std::string_view(begun.error().text)}});
  }
}

void ProfileService::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "profiler");
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return job_.has_value(); })) {
    const ProfileRequest request = job_->request;
    ProfileDone done = std::move(job_->done);
    lock.unlock();
    Result<std::string> result;
    if (done) {
      result = answer(request, stop);
    } else {
      files(request, stop);
    }
    lock.lock();
    job_.reset();  // before anyone is told: who asks then finds it free
    busy_.store(false);
    lock.unlock();
    if (done) done(std::move(result));
    lock.lock();
  }
}

/// False: it is not to go on.
bool ProfileService::pause(std::chrono::nanoseconds time, const ProfileRequest& request,
                           const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested() && !(request.given_up && request.given_up->load());
}

Result<Profile> ProfileService::cpu(const ProfileRequest& request, const std::stop_token& stop) {
  auto sampler = telemetry::CpuSampler::start(
      {.period = std::chrono::nanoseconds(1'000'000'000 / options_.rate),
       .stacks_max = options_.stacks_max});
  if (!sampler) return std::unexpected(sampler.error());
  const auto end = Clock::now() + request.time;
  while (Clock::now() < end) {
    const auto rest =
        std::min<std::chrono::nanoseconds>(end - Clock::now(), telemetry::CpuSampler::interval);
    if (!pause(rest, request, stop)) return std::unexpected(stopped());
    (*sampler)->collect();
  }
  Profile profile = (*sampler)->finish();
  counters_->cpu.add();
  counters_->lost.add(profile.lost);
  return profile;
}

Result<Profile> ProfileService::heap(const ProfileRequest& request, const std::stop_token& stop) {
  if (!telemetry::heap_samples_on()) {
    if (auto on = telemetry::start_heap_samples(options_.heap_interval); !on)
      return std::unexpected(on.error());
    const auto end = Clock::now() + request.time;
    bool wanted = true;
    while (wanted && Clock::now() < end)
      wanted = pause(
          std::min<std::chrono::nanoseconds>(end - Clock::now(), telemetry::CpuSampler::interval),
          request, stop);
    if (!wanted) {
      telemetry::stop_heap_samples();
      return std::unexpected(stopped());
    }
  }
  Profile profile = telemetry::heap_profile();
  if (!options_.heap_always) telemetry::stop_heap_samples();
  counters_->heap.add();
  return profile;
}

Result<std::string> ProfileService::answer(const ProfileRequest& request,
                                           const std::stop_token& stop) {
  auto profile = request.kind == ProfileKind::cpu ? cpu(request, stop) : heap(request, stop);
  if (!profile) return std::unexpected(profile.error());
  return in_form(*profile, request.form);
}

void ProfileService::files(const ProfileRequest& request, const std::stop_token& stop) {
  log(LogLevel::info, "profile", "taking profiles", {{"seconds", request.time.count()}});
  Result<void> sampled;
  if (!telemetry::heap_samples_on())
    sampled = telemetry::start_heap_samples(options_.heap_interval);
  write_profile("cpu", cpu(request, stop));
  ProfileRequest at_once = request;
  at_once.time = std::chrono::seconds(0);
  write_profile("heap",
                sampled ? heap(at_once, stop) : Result<Profile>(std::unexpected(sampled.error())));
}

void ProfileService::write_profile(std::string_view kind, const Result<Profile>& profile) {
  if (!profile) {
    log(LogLevel::warn, "profile", "no profile was taken",
        {{"kind", kind}, {"reason", std::string_view(profile.error().text)}});
    return;
  }
  const std::int64_t now_ns = unix_now_ns();
  for (const auto& [form, suffix] :
       {std::pair(ProfileForm::gperftools, ".prof"), std::pair(ProfileForm::proto, ".pb.gz")}) {
    auto path = files_.write({kind, suffix}, now_ns, in_form(*profile, form));
    if (path) {
      log(LogLevel::info, "profile", "profile written", {{"file", path->native()}});
    } else {
      log(LogLevel::warn, "profile", "profile not written",
          {{"reason", std::string_view(path.error().text)}});
    }
  }
}

void ProfileService::list_threads_to_file() {
  const auto threads = telemetry::list_thread_stacks();
  telemetry::Symbols symbols;
  auto path = files_.write({"threads", ".txt"}, unix_now_ns(), thread_list_text(threads, symbols));
  if (path) {
    log(LogLevel::info, "profile", "threads written",
        {{"threads", threads.size()}, {"file", path->native()}});
  } else {
    log(LogLevel::warn, "profile", "threads not written",
        {{"reason", std::string_view(path.error().text)}});
  }
}

}  // namespace trialwire
