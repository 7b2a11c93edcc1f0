// SPDX-License-Identifier: Apache-2.0
#include "loadgen/load_run.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <thread>

#include "base/check.hpp"
#include "base/rfc3339.hpp"
#include "loadgen/record_file.hpp"
#include "loadgen/worker.hpp"

namespace trialwire::loadgen {
namespace {

// Each worker numbers its reports from its own tenth of a billion on: 12 digits are enough for 99.
constexpr std::uint64_t reports_per_worker = 10'000'000'000;

std::uint64_t random_word() {
  std::uint64_t word = 0;
  TW_CHECK(::getrandom(&word, sizeof word, 0) == sizeof word);
  return word;
}

class ReceiptFile {
 public:
  ReceiptFile() = default;
  ReceiptFile(ReceiptFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  ReceiptFile(const ReceiptFile&) = delete;
  ReceiptFile& operator=(const ReceiptFile&) = delete;
  ReceiptFile& operator=(ReceiptFile&&) = delete;
  ~ReceiptFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Result<void> open(const std::string& path) {
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (descriptor_ < 0) return std::unexpected(errno_error("cannot open " + path, errno));
    return {};
  }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_ = -1;
};

// Whole of `total` over `parts`, the first ones one more where it does not divide.
std::uint64_t share(std::uint64_t total, unsigned parts, unsigned index) noexcept {
  return total / parts + (index < total % parts ? 1 : 0);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

class Run {
 public:
  Run(LoadOptions options, const LoadHooks& hooks) : options_(std::move(options)), hooks_(hooks) {
    if (options_.path.empty()) options_.path = default_path(options_.kind);
  }

  Result<LoadResult> execute() {
    if (auto ready = prepare(); !ready) return std::unexpected(ready.error());
    if (auto connected = connect(); !connected) return std::unexpected(connected.error());
    if (hooks_.on_connected) hooks_.on_connected();
    Window window;
    window.start_ns = monotonic_ns();
    window.measured_from_ns = window.start_ns + options_.warmup.count();
    window.measured_until_ns = options_.count > 0
                                   ? std::numeric_limits<std::int64_t>::max()
                                   : window.measured_from_ns + options_.duration.count();
    drive(window);
    return collect(window);
  }

 private:
  Result<void> prepare() {
    if (auto checked = check_options(options_); !checked) return checked;
    raise_descriptor_limit();
    auto endpoint = resolve(options_.host, options_.port);
    if (!endpoint) return std::unexpected(endpoint.error());
    endpoint_ = std::move(*endpoint);
    if (options_.tls) {
      auto tls =
          make_client_tls({.authorities = options_.authorities, .verify = !options_.insecure});
      if (!tls) return std::unexpected(tls.error());
      endpoint_.tls = std::move(*tls);
    }
    run_ = fmt::format("{:08x}", random_word() & 0xffffffff);
    if (!options_.file.empty()) {
      auto records =
          read_records({.path = options_.file, .mapping = options_.mapping, .run = run_});
      if (!records) return std::unexpected(records.error());
      records_ = std::move(*records);
      const std::size_t group = std::max(options_.ndjson, 1U);
      if (options_.once) options_.count = (records_.size() + group - 1) / group;
    }
    if (!options_.receipts.empty()) return receipts_.open(options_.receipts);
    return {};
  }

  Result<std::unique_ptr<RequestSource>> source(unsigned worker) const {
    const RequestShape shape{.host = endpoint_.name,
                             .path = options_.path,
                             .ndjson = options_.ndjson,
                             .gzip = options_.gzip,
                             .token = options_.token};
    if (options_.file.empty()) {
      const auto now = std::chrono::system_clock::now().time_since_epoch();
      return generated_source(
          {.shape = shape,
           .kind = options_.kind,
           .run = run_,
           .timestamp =
               format_rfc3339_ms(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()),
           .first = worker * reports_per_worker,
           .burst_max = options_.pipeline});
    }
    // Each worker sends its own part of the file, so that no record goes out twice in one pass.
    std::vector<FileRecord> part;
    const std::size_t group = std::max(options_.ndjson, 1U);
    for (std::size_t i = 0; i < records_.size(); ++i) {
      if (i / group % options_.threads == worker) part.push_back(records_[i]);
    }
    return record_source(part, shape, options_.pipeline);
  }

  Result<void> connect() {
    for (unsigned i = 0; i < options_.threads; ++i) {
      auto made = source(i);
      if (!made) return std::unexpected(made.error());
      report_bytes_ = (*made)->report_bytes();
      WorkerOptions worker{.load = options_,
                           .endpoint = endpoint_,
                           .seed = random_word(),
                           .receipts_file = receipts_.descriptor()};
      worker.load.connections =
          static_cast<unsigned>(share(options_.connections, options_.threads, i));
      worker.load.count = share(options_.count, options_.threads, i);
      worker.load.rate = options_.rate / options_.threads;
      workers_.push_back(std::make_unique<Worker>(std::move(worker), std::move(*made)));
      if (auto opened = workers_.back()->connect_all(); !opened) return opened;
    }
    return {};
  }

  void drive(const Window& window) {
    std::atomic<unsigned> running = options_.threads;
    std::mutex mutex;
    std::condition_variable ended;
    std::vector<std::jthread> threads;
    threads.reserve(workers_.size());
    for (auto& worker : workers_) {
      threads.emplace_back([&worker = *worker, &window, &running, &mutex, &ended, this] {
        worker.run(window, hooks_.stop);
        const std::lock_guard lock(mutex);
        --running;
        ended.notify_one();
      });
    }
    std::unique_lock lock(mutex);
    while (!ended.wait_for(lock, std::chrono::seconds(1), [&] { return running == 0; })) {
      if (hooks_.on_progress) hooks_.on_progress(view(window));
    }
  }

  [[nodiscard]] ProgressView view(const Window& window) const {
    ProgressView out{.seconds = static_cast<double>(monotonic_ns() - window.start_ns) * 1e-9};
    for (const auto& worker : workers_) {
      const Progress& progress = worker->progress();
      out.answered += progress.answered.load(std::memory_order_relaxed);
      out.refused += progress.refused.load(std::memory_order_relaxed);
      out.unanswered += progress.unanswered.load(std::memory_order_relaxed);
    }
    return out;
  }

  [[nodiscard]] LoadResult collect(const Window& window) const {
    LoadResult result{.options = options_,
                      .endpoint = endpoint_.name,
                      .report_bytes = report_bytes_,
                      .window_start_ns = window.measured_from_ns,
                      .window_end_ns = window.measured_from_ns,
                      .interrupted = hooks_.stop.load()};
    for (const auto& worker : workers_) {
      result.totals.merge(worker->totals());
      result.window_end_ns = std::max(result.window_end_ns, worker->last_answer_ns());
    }
    const bool all_lost =
        !options_.reconnect && result.totals.connections_lost >= options_.connections;
    const bool whole = options_.count == 0 && !result.interrupted && !all_lost;
    if (whole) result.window_end_ns = window.measured_until_ns;
    result.window_end_ns = std::min(result.window_end_ns, window.measured_until_ns);
    result.window_seconds =
        static_cast<double>(result.window_end_ns - result.window_start_ns) * 1e-9;
    return result;
  }

  LoadOptions options_;
  const LoadHooks& hooks_;
  Endpoint endpoint_;
  std::string run_;
  double report_bytes_ = 0;
  std::vector<FileRecord> records_;
  ReceiptFile receipts_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace

Result<LoadResult> run_load(const LoadOptions& options, const LoadHooks& hooks) {
  return Run(options, hooks).execute();
}

}  // namespace trialwire::loadgen
