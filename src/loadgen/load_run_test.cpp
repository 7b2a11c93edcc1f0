// SPDX-License-Identifier: Apache-2.0
// Whole runs against a small server in this process that answers as each test needs it.
#include "loadgen/load_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "loadgen/connection.hpp"
#include "loadgen/summary.hpp"

namespace trialwire::loadgen {
namespace {

using ::testing::HasSubstr;

// Answers every request with what `answer` makes of its number; an empty answer closes the
// connection. One thread, blocking, one connection after the other as they have something to say.
class TinyServer {
 public:
  using Answer = std::function<std::string(std::uint64_t number)>;

  explicit TinyServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    EXPECT_EQ(::pipe(stop_pipe_), 0);
    thread_ = std::jthread([this] { serve(); });
  }
  TinyServer(const TinyServer&) = delete;
  TinyServer& operator=(const TinyServer&) = delete;
  ~TinyServer() {
    ::close(stop_pipe_[1]);
    thread_.join();
    ::close(stop_pipe_[0]);
    ::close(listener_);
  }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  void serve() {
    std::vector<pollfd> polled{{stop_pipe_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    std::map<int, std::string> received;
    for (;;) {
      ::poll(polled.data(), polled.size(), -1);
      if (polled[0].revents != 0) break;
      if (polled[1].revents != 0)
        polled.push_back({::accept(listener_, nullptr, nullptr), POLLIN, 0});
      for (std::size_t i = 2; i < polled.size(); ++i) {
        if (polled[i].revents == 0 || read_and_answer(polled[i].fd, received[polled[i].fd]))
          continue;
        ::close(polled[i].fd);
        received.erase(polled[i].fd);
        polled.erase(polled.begin() + static_cast<std::ptrdiff_t>(i--));
      }
    }
    for (std::size_t i = 2; i < polled.size(); ++i) ::close(polled[i].fd);
  }

  bool read_and_answer(int descriptor, std::string& received) {
    char bytes[65536];
    const auto got = ::read(descriptor, bytes, sizeof bytes);
    if (got <= 0) return false;
    received.append(bytes, static_cast<std::size_t>(got));
    for (;;) {
      const auto head_end = received.find("\r\n\r\n");
      if (head_end == received.npos) return true;
      const auto length = std::stoul(received.substr(received.find("Content-Length: ") + 16, 10));
      if (received.size() < head_end + 4 + length) return true;
      received.erase(0, head_end + 4 + length);
      const auto answer = answer_(number_++);
      if (answer.empty()) return false;
      if (::send(descriptor, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return false;
    }
  }

  Answer answer_;
  int listener_ = -1;
  int stop_pipe_[2] = {-1, -1};
  std::uint16_t port_ = 0;
  std::uint64_t number_ = 0;
  std::jthread thread_;
};

std::string answer(std::string_view status, std::string_view body, std::string_view headers = "") {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), headers,
                     body);
}

std::string receipt(std::uint64_t number) {
  return answer("200 OK",
                fmt::format(R"({{"receipt":{{"recordId":"id-{0}","sequence":{0}}}}})", number));
}

LoadOptions towards(const TinyServer& server) {
  LoadOptions options;
  options.port = server.port();
  options.connections = 3;
  options.count = 100;
  return options;
}

Result<LoadResult> load(const LoadOptions& options) {
  const std::atomic<bool> never = false;
  return run_load(options, {.stop = never, .on_progress = {}});
}

TEST(LoadRun, sends_as_many_as_asked_for_and_counts_each_answer) {
  const TinyServer server(receipt);
  auto options = towards(server);
  options.pipeline = 5;
  options.threads = 2;
  const auto result = load(options);
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ(result->totals.sent, 100U);
  EXPECT_EQ(result->totals.by_status[200], 100U);
  EXPECT_EQ(result->totals.accepted_reports, 100U);
  EXPECT_EQ(result->totals.latency.count(), 100U);
  EXPECT_TRUE(flawless(*result));
}

TEST(LoadRun, an_open_loop_charges_a_stall_to_every_request_that_was_due_in_it) {
  const TinyServer server([](std::uint64_t number) {
    // The only sleep there is: a server that stalls once is what is tested.
    if (number == 10) std::this_thread::sleep_for(std::chrono::milliseconds(200));
    return receipt(number);
  });
  auto options = towards(server);
  options.connections = 1;
  options.count = 0;
  options.rate = 500;
  options.arrivals = Arrivals::fixed;
  options.duration = std::chrono::milliseconds(400);
  const auto result = load(options);
  ASSERT_TRUE(result) << result.error().text;
  // About 100 of 200 requests were due during the stall; a closed loop would see one.
  EXPECT_EQ(result->totals.sent, 200U);
  EXPECT_GT(result->totals.latency.quantile(0.7), 20'000'000U);
  EXPECT_EQ(result->totals.not_sent, 0U);
}

TEST(LoadRun, refusals_are_counted_by_status_and_are_not_accepted) {
  const TinyServer server([](std::uint64_t number) {
    return number % 2 == 0 ? receipt(number) : answer("503 Busy", "{}");
  });
  const auto result = load(towards(server));
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ(result->totals.by_status[503], 50U);
  EXPECT_EQ(result->totals.accepted_reports, 50U);
  EXPECT_FALSE(flawless(*result));
  EXPECT_THAT(summary_text(*result), HasSubstr("200: 50   503: 50"));
}

TEST(LoadRun, a_lost_connection_leaves_its_requests_without_answer_and_ends_the_run) {
  const TinyServer server(
      [](std::uint64_t number) { return number < 7 ? receipt(number) : std::string(); });
  auto options = towards(server);
  options.connections = 1;
  options.pipeline = 4;
  const auto result = load(options);
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ(result->totals.by_status[200] + result->totals.unanswered, result->totals.sent);
  EXPECT_GT(result->totals.unanswered, 0U);
  EXPECT_EQ(result->totals.connections_lost, 1U);
  EXPECT_THAT(summary_text(*result), HasSubstr("the server closed a connection"));
}

TEST(LoadRun, reconnects_when_told_to) {
  const TinyServer server(
      [](std::uint64_t number) { return number % 10 == 9 ? std::string() : receipt(number); });
  auto options = towards(server);
  options.reconnect = true;
  const auto result = load(options);
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ(result->totals.sent, 100U);
  EXPECT_EQ(result->totals.unanswered, 10U);
  EXPECT_GE(result->totals.reconnected, 7U);  // three connections were lost ten times
}

TEST(LoadRun, an_orderly_close_after_an_answer_is_no_error) {
  const TinyServer server([](std::uint64_t number) {
    return answer("200 OK", "{}", number % 5 == 4 ? "Connection: close\r\n" : "");
  });
  const auto result = load(towards(server));
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ(result->totals.answered, 100U);
  EXPECT_GE(result->totals.reconnected, 15U);
  EXPECT_TRUE(flawless(*result));
}

TEST(LoadRun, a_server_that_never_answers_is_given_up_after_the_timeout) {
  const TinyServer server([](std::uint64_t) { return std::string("HTTP/1.1 200 OK\r\n"); });
  auto options = towards(server);
  options.timeout = std::chrono::milliseconds(50);
  const auto result = load(options);
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ(result->totals.timed_out, 3U);
  EXPECT_THAT(summary_text(*result), HasSubstr("3 timed out"));
}

TEST(LoadRun, what_is_no_http_is_said_so) {
  const TinyServer server([](std::uint64_t) { return std::string("220 ready for mail\r\n"); });
  const auto result = load(towards(server));
  ASSERT_TRUE(result) << result.error().text;
  EXPECT_EQ(result->totals.malformed, 3U);
  EXPECT_THAT(summary_json(*result), HasSubstr("no HTTP/1.1 answer with a length"));
}

TEST(Connection, one_that_was_joined_with_itself_counts_as_refused) {
  const int taken = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ::getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size);
  // What chance does to one connect in thousands, done on purpose.
  ASSERT_EQ(::connect(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  Connection connection;
  connection.adopt(taken);
  EXPECT_EQ(connection.finish_open(), ECONNREFUSED);
  EXPECT_NE(connection.state(), Connection::State::open);
  connection.close();
  const int again = ::socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(::bind(again, reinterpret_cast<sockaddr*>(&address), size), 0);
  ::close(again);
}

TEST(LoadRun, receipts_name_each_acknowledged_report_once) {
  const TinyServer server([](std::uint64_t number) {
    return number % 4 == 3 ? answer("503 Busy", "{}") : receipt(number);
  });
  auto options = towards(server);
  options.receipts = ::testing::TempDir() + "loadgen_receipts_" + std::to_string(::getpid());
  ASSERT_TRUE(load(options));
  std::ifstream file(options.receipts);
  std::set<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    EXPECT_THAT(
        line, ::testing::MatchesRegex(
                  R"(\{"reportId":"[0-9a-f]+-[0-9]+","recordId":"id-[0-9]+","sequence":[0-9]+\})"));
    lines.insert(line);
  }
  EXPECT_EQ(lines.size(), 75U);
  std::filesystem::remove(options.receipts);
}

TEST(LoadRun, receipts_of_a_batch_leave_out_rejected_lines) {
  const TinyServer server([](std::uint64_t) {
    return answer("200 OK", R"({"accepted":2,"rejected":[{"line":2,"field":"x","errors":)"
                            R"([{"field":"x"},{"field":"y"}]}],)"
                            R"("receipt":{"firstSequence":7,"count":2}})");
  });
  auto options = towards(server);
  options.connections = 1;
  options.count = 1;
  options.ndjson = 3;
  options.receipts = ::testing::TempDir() + "loadgen_batch_" + std::to_string(::getpid());
  const auto result = load(options);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->totals.accepted_reports, 2U);
  EXPECT_EQ(result->totals.rejected_reports, 1U);
  EXPECT_FALSE(flawless(*result));
  EXPECT_THAT(summary_text(*result), HasSubstr("2 accepted, 1 rejected,"));
  EXPECT_THAT(summary_json(*result), HasSubstr(R"("rejectedReports":1,)"));
  std::ifstream file(options.receipts);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(std::ranges::count(text, '\n'), 2);
  EXPECT_THAT(text, HasSubstr("-000000000000\",\"sequence\":7}"));
  EXPECT_THAT(text, HasSubstr("-000000000002\",\"sequence\":8}"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("-000000000001\"")));
  std::filesystem::remove(options.receipts);
}

TEST(LoadRun, receipts_of_a_batch_name_the_sequences_of_lines_that_were_stored_before) {
  const TinyServer server([](std::uint64_t) {
    return answer("200 OK", R"({"accepted":3,"rejected":[],"receipt":{"firstSequence":7,)"
                            R"("count":3,"sequences":[41,7,12]}})");
  });
  auto options = towards(server);
  options.connections = 1;
  options.count = 1;
  options.ndjson = 3;
  options.receipts = ::testing::TempDir() + "loadgen_again_" + std::to_string(::getpid());
  ASSERT_TRUE(load(options));
  std::ifstream file(options.receipts);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(text, HasSubstr("-000000000000\",\"sequence\":41}"));
  EXPECT_THAT(text, HasSubstr("-000000000001\",\"sequence\":7}"));
  EXPECT_THAT(text, HasSubstr("-000000000002\",\"sequence\":12}"));
  std::filesystem::remove(options.receipts);
}

TEST(LoadRun, lines_of_a_body_that_is_refused_whole_are_rejected) {
  const TinyServer server([](std::uint64_t number) {
    return number == 0 ? answer("400 Bad", R"({"accepted":0,"rejected":[{"line":1}]})")
                       : answer("503 Busy", "{}");
  });
  auto options = towards(server);
  options.connections = 1;
  options.count = 2;
  options.ndjson = 3;
  const auto result = load(options);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->totals.accepted_reports, 0U);
  EXPECT_EQ(result->totals.rejected_reports, 3U);
}

TEST(LoadRun, a_closed_port_and_an_unknown_host_are_clear_errors) {
  LoadOptions options;
  {
    const TinyServer gone(receipt);
    options.port = gone.port();
  }
  EXPECT_EQ(load(options).error().text,
            fmt::format("cannot connect to 127.0.0.1:{}: Connection refused", options.port));
  options.host = "no such host";
  EXPECT_THAT(load(options).error().text, HasSubstr("cannot resolve no such host"));
}

TEST(LoadOptions, urls_and_durations_are_read_as_people_write_them) {
  LoadOptions options;
  ASSERT_TRUE(apply_url("http://[::1]:81/submit", options));
  EXPECT_EQ(options.host, "::1");
  EXPECT_EQ(options.port, 81);
  EXPECT_EQ(options.path, "/submit");
  ASSERT_TRUE(apply_url("gateway", options));
  EXPECT_EQ(options.host, "gateway");
  EXPECT_FALSE(options.tls);
  ASSERT_TRUE(apply_url("https://gateway:8443/x", options));
  EXPECT_TRUE(options.tls);
  EXPECT_EQ(options.host, "gateway");
  EXPECT_EQ(options.port, 8443);
  EXPECT_FALSE(apply_url("http://gateway:x", options));
  EXPECT_FALSE(apply_url("http://:80", options));
  EXPECT_EQ(parse_duration("1.5s"), std::chrono::milliseconds(1500));
  EXPECT_EQ(parse_duration("2m"), std::chrono::minutes(2));
  EXPECT_EQ(parse_duration("250ms"), std::chrono::milliseconds(250));
  for (const auto* text : {"", "s", "-1s", "1 s", "1y", "nan", "1e99h"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(LoadOptions, what_makes_no_sense_is_refused) {
  const auto refused = [](auto change) {
    LoadOptions options;
    change(options);
    return !check_options(options).has_value();
  };
  EXPECT_FALSE(refused([](LoadOptions&) {}));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.connections = 0; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.pipeline = 5000; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.connections = 4'000'000'000; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.connections = 1'000'000, o.pipeline = 1'000; }));
  EXPECT_FALSE(refused([](LoadOptions& o) { o.connections = 10'000, o.pipeline = 1'000; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.count = 0 - std::uint64_t{1}; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.count = 1'000'000'000, o.ndjson = 100; }));
  EXPECT_FALSE(refused([](LoadOptions& o) { o.count = 100'000'000, o.ndjson = 100; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.rate = -1; }));
  for (const double rate : {1e9, 1e-9, double{INFINITY}, -double{INFINITY}, double{NAN}}) {
    EXPECT_TRUE(refused([rate](LoadOptions& o) { o.rate = rate; })) << rate;
  }
  EXPECT_FALSE(refused([](LoadOptions& o) { o.rate = 1e7; }));
  for (const auto* name : {"x.csv", "x.csv.gz", "a/B.CSV"}) {
    EXPECT_TRUE(refused([name](LoadOptions& o) { o.file = name; })) << name;
    EXPECT_FALSE(refused([name](LoadOptions& o) { o.file = name, o.mapping = "a=b"; })) << name;
  }
  EXPECT_FALSE(refused([](LoadOptions& o) { o.file = "csv.ndjson"; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.threads = 65; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.path = "submit"; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.path = "/a b"; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.mapping = "a=b"; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.count = 1, o.threads = 2; }));
  EXPECT_TRUE(refused([](LoadOptions& o) { o.duration = {}; }));
}

TEST(LoadOptions, a_warm_up_goes_with_a_time_and_not_with_a_number_of_requests) {
  LoadOptions options;
  options.warmup = std::chrono::seconds(1);
  EXPECT_TRUE(check_options(options));
  options.count = 5;
  ASSERT_FALSE(check_options(options));
  EXPECT_THAT(check_options(options).error().text, ::testing::StartsWith("--warmup needs"));
  options.count = 0;
  options.once = true;
  EXPECT_FALSE(check_options(options));
}

TEST(Summary, a_progress_line_shows_the_rate_since_the_last_one) {
  const ProgressView before{.seconds = 2, .answered = 1000, .refused = 0, .unanswered = 0};
  const ProgressView now{.seconds = 4, .answered = 5000, .refused = 3, .unanswered = 1};
  EXPECT_EQ(progress_line(now, before), "   4 s       2,000/s  5,000 answered, 3 not 2xx, 1 lost");
}

}  // namespace
}  // namespace trialwire::loadgen
