// SPDX-License-Identifier: Apache-2.0
// Kafka's sink against its floor, on the same brokers and the same bytes: messages with acks=all
// that a bare loop around librdkafka hands over, encoded beforehand, as rdkafka_performance does
// (no headers), and the same with the sink's headers. Rounds alternate; each line is one of them.
//   kafka_bench BROKERS [records] [rounds] [partitions] [json|original]
// It makes topics kafka_bench.{sink,floor,floor_headers}, which must not be there or be empty, and
// checks at the end that they hold every message.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "epro/report_rows.hpp"
#include "storage/kafka/sink.hpp"
#include "storage/kafka/topics.hpp"
#include "telemetry/metrics.hpp"

namespace {

using namespace trialwire;
using namespace trialwire::storage;
using Clock = std::chrono::steady_clock;

constexpr std::size_t delivery_records = 65'536;
constexpr std::size_t delivery_bytes = 32 << 20;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Bench {
  std::string brokers;
  std::size_t count = 200'000;
  int rounds = 3;
  int partitions = 6;
  kafka::ValueForm value = kafka::ValueForm::json;
  std::vector<std::string> bodies;
  std::vector<journal::Record> records;
  Uuid journal = Uuid::random();
  telemetry::Registry metrics;

  kafka::ProducerOptions producer() const {
    kafka::ProducerOptions options;
    options.client.brokers = {brokers};
    return options;
  }
  std::vector<std::unique_ptr<EventMapper>> mappers() const {
    std::vector<std::unique_ptr<EventMapper>> made;
    made.push_back(std::make_unique<EventMapper>(epro::make_report_rows()));
    return made;
  }
  void make_records();
  double sink(std::uint64_t first_sequence);
  double floor(const std::string& topic, bool headers);
};

void Bench::make_records() {
  bodies.reserve(count);
  records.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    bodies.push_back(fmt::format(
        R"({{"patientId":"P-{}","trialId":"T-1","timestamp":"2026-03-01T08:15:30+01:00",)"
        R"("qolScore":{},"comments":"slept well, some pain in the morning","siteId":"S-{}",)"
        R"("reportId":"R-{:08}","answers":{{"pain":3,"mood":"ok"}}}})",
        i % 10'000, i % 11, i % 40, i));
    journal::Record& record = records[i];
    record.journal = journal;
    record.epoch = 1;
    record.attributes.received_ns = 1'772'349'330'250'000'000 + static_cast<std::int64_t>(i);
    record.attributes.origin = "http 127.0.0.1:5123";
    record.attributes.identity = {i, ~i};
    record.attributes.key_hash = static_cast<std::uint32_t>(i % 10'000) + 1;
    record.bytes = as_bytes(bodies.back());
  }
}

/// Seconds for all of them, as a lane that lags would deliver them.
double Bench::sink(std::uint64_t first_sequence) {
  kafka::SinkOptions options;
  options.producer = producer();
  options.value = value;
  options.topics = {{journal::RecordKind::epro_report, "kafka_bench.sink"}};
  options.cursor_file =
      std::filesystem::temp_directory_path() / ("kafka_bench." + journal.text()) / "kafka.0";
  auto sink = kafka::make_sink(options, mappers(), journal::posix_files(), metrics);
  for (std::size_t i = 0; i < count; ++i) records[i].sequence = first_sequence + i;
  TW_CHECK(sink->durable_cursor(journal).has_value());
  const auto began = Clock::now();
  for (std::size_t from = 0; from < count;) {
    std::size_t to = from, bytes = 0;
    while (to < count && to - from < delivery_records && bytes < delivery_bytes) {
      bytes += bodies[to++].size();
    }
    auto done =
        sink->deliver(std::span(records).subspan(from, to - from), {journal, first_sequence + to});
    if (!done) fmt::print("{}\n", done.error().text);
    TW_CHECK(done.has_value());
    from = to;
  }
  std::chrono::duration<double> took = Clock::now() - began;
  sink.reset();
  std::filesystem::remove_all(options.cursor_file.parent_path());
  return took.count();
}

struct CountReports final : kafka::Reports {
  std::size_t delivered = 0;
  void reported(std::uint64_t, rd_kafka_resp_err_t error) noexcept override {
    TW_CHECK(error == RD_KAFKA_RESP_ERR_NO_ERROR);
    ++delivered;
  }
};

double Bench::floor(const std::string& topic, bool headers) {
  kafka::MessageEncoder encoder(value, mappers(), {{journal::RecordKind::epro_report, topic}});
  std::vector<std::string> keys, values;
  for (const journal::Record& record : records) {
    const kafka::Message& message = encoder.encode(record);
    keys.emplace_back(message.key);
    values.emplace_back(message.value);
  }
  const std::vector<std::string> names{"record_id", "journal_id",   "sequence",
                                       "kind",      "content_type", "received_at"};
  const std::string uuid(36, 'x'), number("1234567"), kind("epro_report"), type("application/json"),
      time(24, '0');
  const std::vector<kafka::Header> some{{names[0], uuid}, {names[1], uuid}, {names[2], number},
                                        {names[3], kind}, {names[4], type}, {names[5], time}};
  CountReports reports;
  auto made = kafka::Producer::open(producer(), {topic}, reports);
  TW_CHECK(made.has_value());
  const auto began = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    kafka::Message message{.topic = 0, .key = keys[i], .value = values[i]};
    if (headers) message.headers = some;
    while ((*made)->produce(message, i + 1) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_poll((*made)->handle(), 1);
    }
    if (i % 256 == 0) (*made)->serve();
  }
  while (reports.delivered < count) (*made)->flush(std::chrono::milliseconds(1'000));
  std::chrono::duration<double> took = Clock::now() - began;
  return took.count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "kafka_bench BROKERS [records] [rounds] [partitions] [json|original]\n");
    return 2;
  }
  Bench bench;
  bench.brokers = argv[1];
  if (argc > 2) bench.count = std::strtoull(argv[2], nullptr, 10);
  if (argc > 3) bench.rounds = std::atoi(argv[3]);
  if (argc > 4) bench.partitions = std::atoi(argv[4]);
  if (argc > 5 && std::string_view(argv[5]) == "original") {
    bench.value = kafka::ValueForm::original;
  }
  bench.make_records();
  CountReports none;
  auto admin = kafka::Producer::open(bench.producer(), {}, none);
  TW_CHECK(admin.has_value());
  auto made = kafka::create_topics(
      (*admin)->handle(), {"kafka_bench.sink", "kafka_bench.floor", "kafka_bench.floor_headers"},
      {.partitions = bench.partitions, .replication = 1}, std::chrono::seconds(30));
  if (!made) fmt::print("{}\n", made.error().text);
  std::vector<double> ratios;
  const auto count = static_cast<double>(bench.count);
  auto line = [&](std::string_view name, double seconds, double cpu) {
    fmt::print("{:<14} {:>9.0f} records/s   {:.2f} µs of CPU a record\n", name, count / seconds,
               cpu / count * 1e6);
  };
  for (int round = 0; round < bench.rounds; ++round) {
    double cpu = cpu_seconds();
    const double floor = bench.floor("kafka_bench.floor", false);
    line("floor", floor, cpu_seconds() - cpu);
    cpu = cpu_seconds();
    const double headers = bench.floor("kafka_bench.floor_headers", true);
    line("floor+headers", headers, cpu_seconds() - cpu);
    cpu = cpu_seconds();
    const double sink = bench.sink(1 + static_cast<std::uint64_t>(round) * bench.count);
    line("sink", sink, cpu_seconds() - cpu);
    ratios.push_back(floor / sink);
    std::fflush(stdout);
  }
  std::ranges::sort(ratios);
  fmt::print("sink / floor: median {:.2f}, {:.2f} to {:.2f}\n", ratios[ratios.size() / 2],
             ratios.front(), ratios.back());
}
