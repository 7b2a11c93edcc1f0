// SPDX-License-Identifier: Apache-2.0
#include "journal/scrubber.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <condition_variable>
#include <mutex>

#include "telemetry/log.hpp"

namespace trialwire::journal {
namespace {

using Clock = std::chrono::steady_clock;

/// False when `stop` was requested meanwhile.
bool pause_until(Clock::time_point until, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_until(lock, stop, until, [] { return false; });
  return !stop.stop_requested();
}

/// A file whose reads take as long as the rate says.
class ThrottledFile final : public File {
 public:
  ThrottledFile(File& file, std::size_t bytes_per_second, const std::stop_token& stop)
      : file_(file), bytes_per_second_(bytes_per_second), stop_(stop) {}

  Result<void> read_at(std::uint64_t offset, MutableBytes into) override {
    if (!pause_until(next_, stop_)) return fail(ErrorCode::cancelled, "stopping");
    const double seconds =
        static_cast<double>(into.size()) / static_cast<double>(bytes_per_second_);
    next_ = std::max(next_, Clock::now()) +
            std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    return file_.read_at(offset, into);
  }
  Result<void> write_at(std::uint64_t, ByteView) override {
    return fail(ErrorCode::internal, "a scrubber does not write");
  }
  Result<void> sync() override { return {}; }
  Result<std::uint64_t> size() override { return file_.size(); }
  const std::filesystem::path& path() const override { return file_.path(); }

 private:
  File& file_;
  std::size_t bytes_per_second_;
  const std::stop_token& stop_;
  Clock::time_point next_ = Clock::now();
};

}  // namespace

Result<void> scrub_segment(FileLayer& files, const ScrubOptions& options, std::span<const Gap> gaps,
                           const SealedSegment& segment, const std::stop_token& stop) {
  const std::filesystem::path name = options.directory / segment_name(segment.number);
  const auto file = files.open(name, OpenMode::read, options.direct);
  if (!file) return std::unexpected(file.error());
  ThrottledFile throttled(**file, options.bytes_per_second, stop);
  ReadWindow window;
  const auto scan = scan_segment(throttled,
                                 {.journal = options.journal,
                                  .number = segment.number,
                                  .segment_bytes = options.segment_bytes,
                                  .gaps = gaps},
                                 window);
  if (!scan) return std::unexpected(scan.error());
  const auto corrupt = [&](std::uint64_t offset, std::string_view text) {
    return fail(ErrorCode::corrupt, fmt::format("{}: offset {}: {}", name.native(), offset, text));
  };
  SealedSegment read{.number = segment.number};
  for (const Piece& piece : scan->pieces) {
    if (const Damage* damage = std::get_if<Damage>(&piece))
      return corrupt(damage->at, damage->text);
    const BatchRun* run = std::get_if<BatchRun>(&piece);
    if (run == nullptr) continue;
    read.batches += run->batches;
    read.records += run->records;
    read.chain_head = run->head;
  }
  if (scan->size != options.segment_bytes) return corrupt(scan->size, "the file's size is wrong");
  // Behind a gap at the end the chain's head is the repair's, not a header's.
  const bool ends_in_gap =
      !scan->pieces.empty() && std::holds_alternative<Gap>(scan->pieces.back());
  if (read.batches != segment.batches || read.records != segment.records ||
      (read.chain_head != segment.chain_head && !ends_in_gap)) {
    return corrupt(0, "the segment does not match its seal");
  }
  return {};
}

Scrubber::Scrubber(FileLayer& files, ScrubOptions options, std::vector<Gap> gaps, Source source,
                   telemetry::Registry& metrics)
    : files_(files),
      options_(std::move(options)),
      gaps_(std::move(gaps)),
      source_(std::move(source)),
      bytes_(metrics.counter("trialwire_journal_scrubbed_bytes_total",
                             "Bytes of sealed segments read again and found intact.")),
      corruptions_(metrics.counter("trialwire_journal_scrub_corruptions_total",
                                   "Sealed segments that the scrubber found damaged.")),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

void Scrubber::run(const std::stop_token& stop) {
  const sched_param none{};
  pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
  pthread_setname_np(pthread_self(), "journal-scrub");
  do {
    for (const SealedSegment& segment : source_.sealed()) {
      const auto scrubbed = scrub_segment(files_, options_, gaps_, segment, stop);
      if (scrubbed) {
        bytes_.add(options_.segment_bytes);
      } else if (scrubbed.error().code == ErrorCode::cancelled) {
        return;
      } else if (scrubbed.error().code != ErrorCode::not_found) {
        corruptions_.add();
        telemetry::log(telemetry::LogLevel::error, "journal", "scrubber found damage",
                       {{"error", std::string_view(scrubbed.error().text)}});
        if (source_.corrupt) source_.corrupt(scrubbed.error());
      }
    }
  } while (pause_until(Clock::now() + options_.pause, stop));
}

}  // namespace trialwire::journal
