// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/partition.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/check.hpp"
#include "journal/format.hpp"
#include "storage/kafka/errors.hpp"
#include "telemetry/log.hpp"

namespace trialwire::storage::kafka {
namespace {

using journal::Record;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds query_wait{5'000};
constexpr milliseconds poll_slice{100};  // so often a reader looks whether it is to stop
constexpr std::size_t read_at_once = 1'024;
constexpr std::size_t submission_at_most = 16'384;  // read at once, to keep one together
constexpr milliseconds submission_wait{200};        // for more of one
constexpr milliseconds first_look{1'000};  // so long nothing comes before the brokers are asked
constexpr milliseconds last_look{30'000};

struct DestroyList {
  void operator()(rd_kafka_topic_partition_list_t* list) const noexcept {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t, DestroyList>;

PartitionList list_of(const PartitionName& name, std::int64_t offset) {
  PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), name.topic.c_str(), name.number)->offset = offset;
  return list;
}

constexpr std::uint64_t sequence_of(std::int64_t offset) noexcept {
  return static_cast<std::uint64_t>(offset) + 1;
}
constexpr std::int64_t offset_of(std::uint64_t sequence) noexcept {
  return static_cast<std::int64_t>(sequence) - 1;
}

std::string_view header_of(const rd_kafka_headers_t* headers, const char* name) {
  const void* value = nullptr;
  std::size_t size = 0;
  if (headers == nullptr ||
      rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return {};
  }
  return {static_cast<const char*>(value), size};
}

template <typename T>
std::optional<T> number_of(std::string_view text) {
  T number = 0;
  auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

/// As the gateway wrote it; false: some of it is missing.
bool decode_headers(const rd_kafka_headers_t* headers, Record& into) {
  const std::string_view attributes = header_of(headers, "attributes");
  const auto id = Uuid::parse(header_of(headers, "journal_id"));
  const auto sequence = number_of<std::uint64_t>(header_of(headers, "sequence"));
  const auto epoch = number_of<std::uint32_t>(header_of(headers, "epoch"));
  if (!id || !sequence || !epoch) return false;
  if (journal::decode_record(as_bytes(attributes), into) != attributes.size()) return false;
  into.journal = *id;
  into.sequence = *sequence;
  into.epoch = *epoch;
  return true;
}

Fetched fetched(const rd_kafka_message_t& message) {
  rd_kafka_headers_t* headers = nullptr;
  const bool has_headers =
      rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR;
  auto text = [](const void* data, std::size_t size) {
    return std::string_view(static_cast<const char*>(data), size);
  };
  return {.offset = message.offset,
          .timestamp_ms = rd_kafka_message_timestamp(&message, nullptr),
          .key = text(message.key, message.key == nullptr ? 0 : message.key_len),
          .value = {static_cast<const std::byte*>(message.payload), message.len},
          .headers = has_headers ? headers : nullptr};
}

struct Ends {
  std::int64_t low = 0;   // offset of the oldest message that there is
  std::int64_t high = 0;  // after the newest
};

Result<Ends> ask_ends(const PartitionJournal::Source& source) {
  Ends ends;
  rd_kafka_resp_err_t error =
      rd_kafka_query_watermark_offsets(source.handle, source.name.topic.c_str(), source.name.number,
                                       &ends.low, &ends.high, static_cast<int>(query_wait.count()));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return ends;
  return std::unexpected(error_of(error, source.name.text()));
}

Error not_of_it(const PartitionName& name, std::uint64_t next, std::uint64_t limit) {
  return {
      ErrorCode::corrupt,
      fmt::format("the cursor is at offset {} of {}, which ends at {}: was the topic made anew?",
                  offset_of(next), name.text(), offset_of(limit))};
}

/// Errors: corrupt, when the partition ends before `next`, which sets the limit.
Result<void> check_end(const PartitionJournal::Source& source, const Ends& ends, std::uint64_t next,
                       PartitionLimit& limit) {
  if (offset_of(next) <= ends.high) return {};
  limit.sequence = sequence_of(ends.high);
  return std::unexpected(not_of_it(source.name, next, limit.sequence));
}

Result<void> seek_to(const PartitionJournal::Source& source, std::int64_t offset) {
  PartitionList list = list_of(source.name, offset);
  rd_kafka_error_t* error =
      rd_kafka_seek_partitions(source.handle, list.get(), static_cast<int>(query_wait.count()));
  rd_kafka_resp_err_t code = rd_kafka_error_code(error);
  if (error != nullptr) rd_kafka_error_destroy(error);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = list->elems[0].err;
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return std::unexpected(
      error_of(code, fmt::format("seeking offset {} of {}", offset, source.name.text())));
}

/// Reads message by message: before 2.1 the library's batches lose some when a rebalance pauses the
/// partition while one is collected (what it has is dropped, and it goes on behind that). What is
/// missing between two messages is asked for once more before it is passed over. And where nothing
/// comes, the brokers are asked now and then whether there is something: a seek that meets the
/// question where the partition ends is undone half a second later, by that question's repetition.
/// Where the partition ends before the next one, its topic was made anew: what comes then is below
/// it, is none of what is waited for, and must not be passed.
/// The messages of a submission come in one batch: they are stored, or set aside, together.
class PartitionReader final : public journal::Reader {
 public:
  PartitionReader(const PartitionJournal::Source& source, rd_kafka_queue_t* queue,
                  PartitionLimit& limit, std::uint64_t from)
      : source_(source), queue_(queue), limit_(limit), next_(from) {
    messages_.reserve(read_at_once);
  }
  ~PartitionReader() override { release(); }
  PartitionReader(const PartitionReader&) = delete;
  PartitionReader& operator=(const PartitionReader&) = delete;

  Result<journal::Batch*> next(milliseconds wait, std::stop_token stop) override;
  journal::Cursor position() const override { return {source_.id, next_}; }
  Result<void> seek(const journal::Cursor&) override {
    return fail(ErrorCode::not_implemented, "a partition's reader reads on; make another");
  }

 private:
  void release() noexcept;
  rd_kafka_message_t* consume(milliseconds wait);
  Result<bool> take(const rd_kafka_message_t& message);
  Result<void> look_at_end();
  Result<bool> may_skip_to(std::uint64_t sequence);
  bool submission_goes_on() const noexcept;
  Result<void> look_behind_silence();

  const PartitionJournal::Source& source_;  // the journal's, which outlives its readers
  rd_kafka_queue_t* queue_;
  PartitionLimit& limit_;  // likewise
  std::uint64_t next_;
  std::uint64_t asked_again_for_ = 0;  // what was missing before `seen_behind_it_`
  std::uint64_t seen_behind_it_ = 0;
  Clock::time_point end_seen_{};  // when a message of before `next_` came
  milliseconds patience_ = first_look;
  Clock::time_point silent_since_ = Clock::now();
  std::vector<rd_kafka_message_t*> messages_;  // kept while the batch borrows from them
  journal::Batch batch_;
};

void PartitionReader::release() noexcept {
  batch_.records.clear();
  for (rd_kafka_message_t* message : messages_) rd_kafka_message_destroy(message);
  messages_.clear();
}

/// The next one, kept until the next release; null: there is none.
rd_kafka_message_t* PartitionReader::consume(milliseconds wait) {
  rd_kafka_message_t* message = rd_kafka_consume_queue(queue_, static_cast<int>(wait.count()));
  if (message != nullptr) messages_.push_back(message);
  return message;
}

Result<journal::Batch*> PartitionReader::next(milliseconds wait, std::stop_token stop) {
  release();
  batch_.first_sequence = next_;
  const auto until = Clock::now() + wait;
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    auto slice = std::clamp(left, milliseconds(0), poll_slice);
    while (messages_.size() < (submission_goes_on() ? submission_at_most : read_at_once)) {
      const rd_kafka_message_t* message = consume(slice);
      if (message == nullptr) break;
      auto taken = take(*message);
      if (!taken) return std::unexpected(taken.error());  // what came with it is fetched again
      if (!*taken) break;
      slice = submission_goes_on() && !stop.stop_requested() ? submission_wait : milliseconds(0);
    }
    if (!messages_.empty()) silent_since_ = Clock::now();
    if (Clock::now() - silent_since_ >= patience_) {
      if (auto looked = look_behind_silence(); !looked) return std::unexpected(looked.error());
    }
    if (!batch_.records.empty() || stop.stop_requested() || Clock::now() >= until) return &batch_;
    release();
  }
}

/// False: it is not what comes next, which was asked for.
Result<bool> PartitionReader::take(const rd_kafka_message_t& message) {
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return std::unexpected(error_of(message.err, source_.name.text()));
  }
  const std::uint64_t sequence = sequence_of(message.offset);
  if (sequence < next_) {  // fetched before the reader sought its place, or of another topic
    if (auto looked = look_at_end(); !looked) return std::unexpected(looked.error());
    return true;
  }
  if (sequence > next_) {
    auto skips = may_skip_to(sequence);
    if (!skips || !*skips) return skips;
  }
  Record record;
  if (decode_message(fetched(message), {source_.kind, source_.id}, record)) {
    record.place = sequence;
    batch_.records.push_back(record);
  }
  next_ = sequence + 1;
  return true;
}

Result<void> PartitionReader::look_at_end() {
  if (Clock::now() - end_seen_ < first_look) return {};
  end_seen_ = Clock::now();
  auto ends = ask_ends(source_);
  if (!ends) return std::unexpected(ends.error());
  return check_end(source_, *ends, next_, limit_);
}

/// Offsets are left out where the topic is compacted, and between transactions: then the same is
/// seen a second time. What its retention took away is missing, and the lane is to say so.
Result<bool> PartitionReader::may_skip_to(std::uint64_t sequence) {
  auto ends = ask_ends(source_);
  if (!ends) return std::unexpected(ends.error());
  if (sequence_of(ends->low) > next_) {
    return fail(ErrorCode::not_found,
                fmt::format("offsets {} to {} of {} are gone", offset_of(next_),
                            offset_of(sequence) - 1, source_.name.text()));
  }
  if (asked_again_for_ == next_ && seen_behind_it_ == sequence) return true;
  asked_again_for_ = next_;
  seen_behind_it_ = sequence;
  telemetry::log(telemetry::LogLevel::info, "kafka",
                 "messages did not come, and are asked for again",
                 {{"partition", std::string_view(source_.name.text())},
                  {"from_offset", offset_of(next_)},
                  {"to_offset", offset_of(sequence) - 1}});
  if (auto sought = seek_to(source_, offset_of(next_)); !sought) {
    return std::unexpected(sought.error());
  }
  return false;
}

/// The last record is one of a submission with more behind it. Those may be of other keys and so in
/// other partitions: then they are waited for in vain, and only where nothing else comes.
bool PartitionReader::submission_goes_on() const noexcept {
  if (batch_.records.empty()) return false;
  const journal::RecordAttributes& last = batch_.records.back().attributes;
  return last.submission != Uuid{} && last.submission_index + 1 < last.submission_count;
}

/// Ends that cannot be had are asked for another time. Where the topic ends with what no reader
/// gets (the mark of a transaction), each look is in vain, and they grow rare.
Result<void> PartitionReader::look_behind_silence() {
  silent_since_ = Clock::now();
  patience_ = std::min(patience_ * 2, last_look);
  auto ends = ask_ends(source_);
  if (!ends || ends->high == offset_of(next_)) return {};
  if (auto checked = check_end(source_, *ends, next_, limit_); !checked) return checked;
  telemetry::log(telemetry::LogLevel::info, "kafka",
                 "messages do not come, and are asked for again",
                 {{"partition", std::string_view(source_.name.text())},
                  {"from_offset", offset_of(next_)},
                  {"to_offset", ends->high - 1}});
  static_cast<void>(seek_to(source_, offset_of(next_)));  // in vain: the next look seeks again
  return {};
}

}  // namespace

std::string PartitionName::text() const {
  return fmt::format("{}/{}", topic, number);
}

Uuid partition_id(std::string_view cluster, const PartitionName& name) {
  Sha256Hasher hasher;
  hasher.begin();
  for (std::string_view part :
       {std::string_view("trialwire partition"), cluster, std::string_view(name.topic)}) {
    hasher.update(as_bytes(part));
    hasher.update(as_bytes(std::string_view("\0", 1)));
  }
  hasher.update(std::as_bytes(std::span(&name.number, 1)));
  return digest_id(hasher.finish());
}

Uuid digest_id(const Sha256& digest) {
  Uuid id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x80);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

bool decode_message(const Fetched& message, const Unnamed& unnamed, Record& into) {
  if (message.value.data() == nullptr) return false;
  if (!decode_headers(message.headers, into)) {
    constexpr std::int64_t ns_of_ms = 1'000'000;
    into = {};
    into.attributes.kind = unnamed.kind;
    into.attributes.received_ns = std::max<std::int64_t>(0, message.timestamp_ms) * ns_of_ms;
    into.attributes.key_hash = key_hash(message.key);
    into.attributes.origin = "kafka";
    into.journal = unnamed.partition;
    into.sequence = sequence_of(message.offset);
  }
  into.bytes = message.value;
  return true;
}

Result<void> ask_tail(rd_kafka_t* handle, PartitionTail& tail, milliseconds wait) {
  std::int64_t low = 0, high = 0;
  rd_kafka_resp_err_t error =
      rd_kafka_query_watermark_offsets(handle, tail.name.topic.c_str(), tail.name.number, &low,
                                       &high, static_cast<int>(wait.count()));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return std::unexpected(error_of(error, tail.name.text()));
  }
  tail.high = high;
  return {};
}

PartitionJournal::PartitionJournal(Source source)
    : source_(std::move(source)),
      queue_(rd_kafka_queue_get_partition(source_.handle, source_.name.topic.c_str(),
                                          source_.name.number)),
      tail_(std::make_shared<PartitionTail>(source_.name)) {
  TW_CHECK(queue_ != nullptr);
}

PartitionJournal::~PartitionJournal() = default;

Result<std::unique_ptr<journal::Reader>> PartitionJournal::read(const journal::Cursor& from) {
  TW_CHECK(from.journal == source_.id && from.next_sequence > 0);
  if (const std::uint64_t limit = limit_.sequence; from.next_sequence > limit) {
    return std::unexpected(not_of_it(source_.name, from.next_sequence, limit));
  }
  auto ends = ask_ends(source_);
  if (!ends) return std::unexpected(ends.error());
  low_ = ends->low;
  tail_->high = ends->high;
  const std::int64_t offset = offset_of(from.next_sequence);
  if (offset < ends->low) {
    return fail(ErrorCode::not_found, fmt::format("offset {} of {} is gone, it begins at {}",
                                                  offset, source_.name.text(), ends->low));
  }
  if (auto checked = check_end(source_, *ends, from.next_sequence, limit_); !checked) {
    return std::unexpected(checked.error());
  }
  if (auto sought = seek_to(source_, offset); !sought) return std::unexpected(sought.error());
  return std::make_unique<PartitionReader>(source_, queue_.get(), limit_, from.next_sequence);
}

/// Asked of the brokers once, before a lane looks for its place; then `read` keeps it.
journal::Cursor PartitionJournal::begin() const {
  if (low_ < 0) {
    auto ends = ask_ends(source_);
    if (!ends) return {source_.id, 1};
    low_ = ends->low;
  }
  return {source_.id, sequence_of(low_.load(std::memory_order_relaxed))};
}

journal::Cursor PartitionJournal::end() const {
  std::int64_t low = 0, high = 0;
  rd_kafka_resp_err_t error = rd_kafka_get_watermark_offsets(
      source_.handle, source_.name.topic.c_str(), source_.name.number, &low, &high);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) high = -1;
  high = std::max(high, tail_->high.load());
  return {source_.id, high >= 0 ? sequence_of(high) : 1};
}

journal::Status PartitionJournal::status() const {
  return {.id = source_.id,
          .next_sequence = end().next_sequence,
          .first_sequence = begin().next_sequence,
          .direct_io = false};
}

}  // namespace trialwire::storage::kafka
