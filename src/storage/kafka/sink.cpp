// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/sink.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "storage/kafka/cursor_file.hpp"
#include "storage/kafka/errors.hpp"
#include "storage/kafka/outbox.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::storage::kafka {
namespace {

using journal::Record;
using std::chrono::milliseconds;
using telemetry::LogLevel;
using Clock = std::chrono::steady_clock;
using Records = std::span<const Record>;

constexpr std::string_view sink_name = "kafka";
constexpr milliseconds flush_slice{50};            // so often a delivery looks whether to go on
constexpr std::size_t batch_bytes_min = 16 << 10;  // of a request, when brokers find it too large
constexpr std::size_t produced_between_serves = 256;
constexpr std::size_t framing_max = 256;  // bytes that the protocol adds to a message
// What a message may have more than its record: headers, and what JSON makes of times and units.
constexpr std::size_t message_more_max = 4 << 10;

Result<journal::Cursor> own_cursor(CursorFile& file, const Uuid& journal) {
  auto stored = file.load();
  if (!stored) return std::unexpected(stored.error());
  if (!*stored) return journal::Cursor{journal, 1};
  if ((*stored)->journal == journal) return **stored;
  return fail(ErrorCode::corrupt,
              fmt::format("{}: holds the cursor {} of journal {}, not of {}; without the file "
                          "everything is sent again",
                          file.path().string(), (*stored)->next_sequence, (*stored)->journal.text(),
                          journal.text()));
}

struct Metrics {
  explicit Metrics(telemetry::Registry& registry)
      : messages(registry.counter("trialwire_kafka_messages_total",
                                  "Messages that every in-sync replica has.")),
        bytes(registry.counter("trialwire_kafka_message_bytes_total",
                               "Keys, values and headers handed to the producer.")),
        failed(registry.counter("trialwire_kafka_failed_messages_total",
                                "Messages that were not taken, and sent again or refused.")),
        producers(registry.counter("trialwire_kafka_producers_total",
                                   "Producers made: one at start, one after each fatal error.")),
        cursor_failures(registry.counter("trialwire_kafka_cursor_failures_total",
                                         "Cursors that could not be stored; what they were past "
                                         "is sent again after a crash.")),
        in_flight(registry.gauge("trialwire_kafka_queue_messages",
                                 "Messages that the producer has and no broker has confirmed.")) {}

  telemetry::Counter& messages;
  telemetry::Counter& bytes;
  telemetry::Counter& failed;
  telemetry::Counter& producers;
  telemetry::Counter& cursor_failures;
  telemetry::Gauge& in_flight;
};

class KafkaSink final : public pipeline::Sink, private Reports {
 public:
  KafkaSink(SinkOptions options, std::vector<std::unique_ptr<EventMapper>> mappers,
            journal::FileLayer& files, telemetry::Registry& registry)
      : options_(std::move(options)),
        batch_bytes_(options_.producer.batch_bytes),
        encoder_(options_.value, std::move(mappers), options_.topics),
        file_(files, options_.cursor_file),
        metrics_(registry) {
    registry
        .gauge("trialwire_kafka_queue_messages_limit", "Limit of trialwire_kafka_queue_messages.")
        .set(static_cast<double>(options_.producer.queue_messages));
  }
  ~KafkaSink() override { store_cursor(); }
  KafkaSink(const KafkaSink&) = delete;
  KafkaSink& operator=(const KafkaSink&) = delete;

  std::string_view name() const noexcept override { return sink_name; }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override;
  bool keeps_cursor_here() const noexcept override { return true; }
  Result<void> deliver(Records records, const journal::Cursor& cursor) override;
  void reset() noexcept override;
  void give_up() noexcept override { given_up_.store(true, std::memory_order_relaxed); }

 private:
  void reported(std::uint64_t ticket, rd_kafka_resp_err_t error) noexcept override;
  Result<void> get_ready(const Uuid& journal);
  Result<void> send(Records records);
  Result<void> produce(const Record& record, std::size_t index);
  Result<void> fits(const Record& record, const Message& message) const;
  Result<void> submission_fits(Records submission);
  Result<void> await();
  Result<void> go_on() const;
  Error why_failed();
  Error too_large(const Outbox::Failure& failure);
  void advance(std::uint64_t next_sequence);
  void store_cursor() noexcept;

  SinkOptions options_;
  std::size_t batch_bytes_;  // of the next producer
  MessageEncoder encoder_;
  CursorFile file_;
  Metrics metrics_;
  Outbox outbox_;
  std::unique_ptr<Producer> producer_;
  bool topics_made_ = false;
  bool topic_missing_ = false;
  Clock::time_point progress_;  // when something was sent or reported last
  std::atomic<bool> given_up_{false};

  Uuid journal_;
  bool loaded_ = false;
  std::uint64_t told_ = 1;     // the cursor as the lane knows it
  std::uint64_t reached_ = 1;  // everything before it is delivered
  std::uint64_t stored_ = 1;   // in the file
  Clock::time_point stored_at_;
};

Result<journal::Cursor> KafkaSink::durable_cursor(const Uuid& journal) {
  if (!loaded_ || journal_ != journal) {
    auto cursor = own_cursor(file_, journal);
    if (!cursor) return cursor;
    journal_ = journal;
    told_ = reached_ = stored_ = cursor->next_sequence;
    loaded_ = true;
    if (options_.reached) options_.reached(reached_);
  }
  return journal::Cursor{journal, told_};
}

Result<void> KafkaSink::get_ready(const Uuid& journal) {
  if (auto cursor = durable_cursor(journal); !cursor) return std::unexpected(cursor.error());
  if (producer_ == nullptr) {
    ProducerOptions producer = options_.producer;
    producer.batch_bytes = batch_bytes_;
    auto opened = Producer::open(producer, encoder_.topics(), *this);
    if (!opened) return std::unexpected(opened.error());
    producer_ = std::move(*opened);
    metrics_.producers.add();
  }
  if (!options_.create_topics || topics_made_) return {};
  auto made = create_topics(producer_->handle(), encoder_.topics(), *options_.create_topics,
                            options_.admin_wait);
  topics_made_ = made.has_value();
  return made;
}

Result<void> KafkaSink::go_on() const {
  if (!given_up_.load(std::memory_order_relaxed)) return {};
  return fail(ErrorCode::cancelled, "the delivery was given up");
}

Result<void> KafkaSink::deliver(Records records, const journal::Cursor& cursor) {
  if (auto goes_on = go_on(); !goes_on) return goes_on;
  if (auto ready = get_ready(cursor.journal); !ready) return ready;
  outbox_.begin(records, [this](const Record& record) { return encoder_.takes(record); });
  progress_ = Clock::now();
  Result<void> sent = send(records);
  // Whatever was not sent: what was is waited for, so that it is known what must be sent again.
  Result<void> awaited = await();
  metrics_.in_flight.set(static_cast<double>(outbox_.in_flight()));
  if (outbox_.done()) {
    outbox_.clear();
    told_ = cursor.next_sequence;
    advance(told_);
    return {};
  }
  if (!records.empty()) advance(outbox_.prefix_end(cursor.next_sequence));
  if (!sent) return sent;
  if (!awaited) return awaited;
  return std::unexpected(why_failed());
}

Result<void> KafkaSink::send(Records records) {
  std::size_t produced = 0;
  Uuid submission;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].attributes.submission != submission) {
      submission = records[i].attributes.submission;
      if (auto fit = submission_fits(records.subspan(i)); !fit) return fit;
    }
    if (!outbox_.must_send(i)) continue;
    if (auto done = produce(records[i], i); !done) return done;
    if (++produced % produced_between_serves != 0) continue;
    producer_->serve();
    // Of its partition nothing more is taken anyway, and order comes first.
    if (outbox_.has_failed()) return {};
    if (auto goes_on = go_on(); !goes_on) return goes_on;
  }
  return {};
}

Result<void> KafkaSink::fits(const Record& record, const Message& message) const {
  const std::size_t most = options_.producer.message_bytes_max;
  if (message.bytes() + framing_max <= most) return {};
  return fail(
      ErrorCode::payload_too_large,
      fmt::format("record {}, a message of {} bytes for topic {}; kafka.message_bytes is {}",
                  record.sequence, message.bytes(), encoder_.topics()[message.topic], most));
}

/// Of those in front that are of one submission: none of it is sent when one is too large.
Result<void> KafkaSink::submission_fits(Records records) {
  const Uuid& submission = records.front().attributes.submission;
  if (submission == Uuid{}) return {};
  for (const Record& record : records) {
    if (record.attributes.submission != submission) break;
    const bool small =
        record.bytes.size() + message_more_max <= options_.producer.message_bytes_max;
    if (small || !encoder_.takes(record)) continue;
    if (auto fit = fits(record, encoder_.encode(record)); !fit) return fit;
  }
  return {};
}

Result<void> KafkaSink::produce(const Record& record, std::size_t index) {
  const Message& message = encoder_.encode(record);
  if (auto fit = fits(record, message); !fit) return fit;
  const std::size_t bytes = message.bytes();
  while (true) {
    rd_kafka_resp_err_t error = producer_->produce(message, record.sequence);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      outbox_.sent(index, {.topic = message.topic, .bytes = bytes});
      metrics_.bytes.add(bytes);
      return {};
    }
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      topic_missing_ = code_of(error) == ErrorCode::not_found;
      if (auto failure = producer_->failure()) return std::unexpected(*failure);
      return std::unexpected(
          error_of(error, fmt::format("topic {}", encoder_.topics()[message.topic])));
    }
    metrics_.in_flight.set(static_cast<double>(outbox_.in_flight()));
    const std::size_t before = outbox_.in_flight();
    producer_->flush(milliseconds(1));
    if (outbox_.in_flight() < before) progress_ = Clock::now();
    if (auto goes_on = go_on(); !goes_on) return goes_on;
    if (outbox_.has_failed()) return std::unexpected(why_failed());
    if (Clock::now() - progress_ > options_.patience) return std::unexpected(why_failed());
  }
}

/// Until every message of this delivery is reported, or none is for too long.
Result<void> KafkaSink::await() {
  while (outbox_.awaited() > 0) {
    if (auto goes_on = go_on(); !goes_on) return goes_on;
    const std::size_t before = outbox_.awaited();
    producer_->flush(flush_slice);
    if (outbox_.awaited() < before) progress_ = Clock::now();
    if (Clock::now() - progress_ > options_.patience) return std::unexpected(why_failed());
  }
  return {};
}

void KafkaSink::reported(std::uint64_t ticket, rd_kafka_resp_err_t error) noexcept {
  outbox_.reported(ticket, error);
  (error == RD_KAFKA_RESP_ERR_NO_ERROR ? metrics_.messages : metrics_.failed).add();
}

/// Of what was learnt, what says most: a message's own failure, the producer's, what the client
/// last said of the brokers.
Error KafkaSink::why_failed() {
  if (Outbox::Failure failure = outbox_.failure(); failure.messages > 0) {
    const ErrorCode code = code_of(failure.error);
    if (code == ErrorCode::payload_too_large) return too_large(failure);
    topic_missing_ = code == ErrorCode::not_found;
    return error_of(failure.error, fmt::format("record {} for topic {}", failure.sequence,
                                               encoder_.topics()[failure.topic]));
  }
  if (auto failure = producer_->failure()) return *failure;
  const auto& trouble = producer_->trouble();
  const double seconds = std::chrono::duration<double>(options_.patience).count();
  const ErrorCode code = trouble ? trouble->code : ErrorCode::unavailable;
  return {code, fmt::format("no broker confirmed a message for {} s{}{}", seconds,
                            trouble ? ": " : "", trouble ? trouble->text : "")};
}

/// A broker measures the batch that it was sent. A single message that is refused is too large
/// itself; with several, the next producer makes smaller batches, so that the others get through.
Error KafkaSink::too_large(const Outbox::Failure& failure) {
  const std::string& topic = encoder_.topics()[failure.topic];
  std::string text = fmt::format("record {}, a message of {} bytes for topic {}", failure.sequence,
                                 failure.bytes, topic);
  if (failure.messages > 1) {
    batch_bytes_ = std::max(batch_bytes_ / 2, batch_bytes_min);
    text += ", or the batch that it was in";
  }
  text +=
      fmt::format(": {} ({})", rd_kafka_err2str(failure.error), rd_kafka_err2name(failure.error));
  if (failure.messages == 1) {
    auto limit = message_bytes_max(producer_->handle(), topic, options_.admin_wait);
    if (limit) text += fmt::format("; the topic's max.message.bytes is {}", *limit);
  }
  return {ErrorCode::payload_too_large, std::move(text)};
}

void KafkaSink::reset() noexcept {
  if (producer_ == nullptr) return;
  // Credentials are read when a client is made.
  const bool refused =
      producer_->trouble() && producer_->trouble()->code == ErrorCode::unauthenticated;
  // It believes for minutes that a topic is not there.
  const bool stale = topic_missing_ && outbox_.in_flight() == 0;
  if (!producer_->failure() && !refused && !stale) return;
  topic_missing_ = false;
  producer_.reset();
  outbox_.forget_in_flight();
  metrics_.in_flight.set(0);
}

void KafkaSink::advance(std::uint64_t next_sequence) {
  if (next_sequence > reached_) {
    reached_ = next_sequence;
    if (options_.reached) options_.reached(reached_);
  }
  if (reached_ != stored_ && Clock::now() - stored_at_ >= options_.cursor_interval) store_cursor();
}

/// A file that cannot be stored holds up nothing: with a full disk, only passing on makes room.
void KafkaSink::store_cursor() noexcept {
  if (!loaded_ || reached_ == stored_) return;
  stored_at_ = Clock::now();
  auto done = file_.store({journal_, reached_});
  if (done) {
    stored_ = reached_;
    return;
  }
  metrics_.cursor_failures.add();
  telemetry::log(LogLevel::warn, "kafka", "the cursor cannot be stored; it is tried again",
                 {{"error", std::string_view(done.error().text)}});
}

}  // namespace

Result<journal::Cursor> stored_cursor(const std::filesystem::path& cursor_file, const Uuid& journal,
                                      journal::FileLayer& files) {
  CursorFile file(files, cursor_file);
  return own_cursor(file, journal);
}

std::unique_ptr<pipeline::Sink> make_sink(SinkOptions options,
                                          std::vector<std::unique_ptr<EventMapper>> mappers,
                                          journal::FileLayer& files, telemetry::Registry& metrics) {
  return std::make_unique<KafkaSink>(std::move(options), std::move(mappers), files, metrics);
}

}  // namespace trialwire::storage::kafka
