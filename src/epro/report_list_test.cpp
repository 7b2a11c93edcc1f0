// SPDX-License-Identifier: Apache-2.0
#include "epro/report_list.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>

#include <fmt/format.h>

#include "net/http_exchange.hpp"
#include "runtime/shard.hpp"
#include "storage/page_cursor.hpp"

namespace trialwire::epro {
namespace {

namespace json = boost::json;
using storage::Principal;
using storage::QueryControl;
using storage::ReportFilter;
using storage::ReportPage;

class FilterTest : public testing::Test {
 protected:
  ReportFilter parse(std::string_view text) { return parse_report_filter(text, {}, errors); }
  std::string problems() {
    std::string text;
    errors.append_json(text);
    return text;
  }
  ingest::FieldErrors errors{20};
};

const std::string some_cursor = storage::encode_page_cursor({1, 2}, {3, 4});

TEST_F(FilterTest, no_parameters_ask_for_the_first_hundred_of_all) {
  ReportFilter filter = parse("");
  EXPECT_TRUE(errors.empty());
  EXPECT_EQ(filter.limit, 100U);
  EXPECT_FALSE(filter.patient_id || filter.trial_id || filter.since_ns || filter.until_ns);
  EXPECT_EQ(filter.cursor, "");
}

TEST_F(FilterTest, every_parameter_is_understood) {
  ReportFilter filter = parse(
      "patientId=P%201&trialId=T+1&since=2026-03-01T08:15:30%2B01:00&until=2026-03-02T00:00:00Z"
      "&limit=7&cursor=" +
      some_cursor);
  EXPECT_TRUE(errors.empty()) << problems();
  EXPECT_EQ(filter.patient_id, "P 1");
  EXPECT_EQ(filter.trial_id, "T 1");
  EXPECT_EQ(filter.since_ns, 1'772'349'330'000'000'000);
  EXPECT_EQ(filter.until_ns, 1'772'409'600'000'000'000);
  EXPECT_EQ(filter.limit, 7U);
  EXPECT_EQ(filter.cursor, some_cursor);
}

TEST_F(FilterTest, a_plus_in_a_time_that_was_typed_as_such_is_an_offset) {
  EXPECT_EQ(parse("since=2026-03-01T08:15:30+01:00").since_ns, 1'772'349'330'000'000'000);
  EXPECT_TRUE(errors.empty()) << problems();
}

TEST_F(FilterTest, all_that_is_wrong_is_said_at_once_and_nothing_is_repeated) {
  parse("patientId=&trialId=" + std::string(65, 'x') +
        "&since=yesterday&until=2026-03-02&limit=1001&cursor=&limit=5&secret%20Name=1");
  EXPECT_EQ(errors.total(), 8U) << problems();
  std::string text = problems();
  for (const char* part : {"patientId", "trialId", "since", "until", "limit", "cursor", "query",
                           "length", "format", "range", "duplicate", "unknown"}) {
    EXPECT_TRUE(text.contains(part)) << part << text;
  }
  for (const char* sent : {"yesterday", "xxx", "1001", "secret"}) {
    EXPECT_FALSE(text.contains(sent)) << sent << text;
  }
}

TEST_F(FilterTest, a_cursor_that_cannot_be_one_is_named_with_the_others) {
  for (std::string wrong : {std::string("zzz"), std::string(300, 'a'), some_cursor + "A",
                            some_cursor.substr(1) + "%2B", some_cursor.substr(1) + "="}) {
    errors.clear();
    parse("limit=0&cursor=" + wrong);
    EXPECT_EQ(errors.total(), 2U) << wrong;
    EXPECT_TRUE(problems().contains(R"("field":"limit")")) << wrong;
    EXPECT_TRUE(problems().contains(R"("field":"cursor","rule":"format")")) << wrong;
  }
}

TEST_F(FilterTest, ids_are_measured_in_characters) {
  std::string longest;
  for (int i = 0; i < 64; ++i) longest += "\xF0\x9F\xA9\xBA";
  EXPECT_EQ(parse("patientId=" + longest).patient_id, longest);
  EXPECT_TRUE(errors.empty()) << problems();
  parse("patientId=x" + longest);
  EXPECT_TRUE(problems().contains("must be 1 to 64 characters")) << problems();
}

TEST_F(FilterTest, a_time_out_of_range_is_told_the_range) {
  parse("since=9999-01-01T00:00:00Z");
  EXPECT_TRUE(
      problems().contains(R"("rule":"range","message":"must be in the years 1678 to 2261")"))
      << problems();
}

TEST_F(FilterTest, limits_are_whole_numbers_in_range) {
  for (const char* wrong : {"0", "-1", "1001", "1e2", "5.0", " 5", "5 ", "", "99999999999"}) {
    errors.clear();
    parse(fmt::format("limit={}", wrong));
    EXPECT_EQ(errors.total(), 1U) << wrong;
  }
  errors.clear();
  EXPECT_EQ(parse("limit=1").limit, 1U);
  EXPECT_EQ(parse("limit=1000").limit, 1000U);
  EXPECT_TRUE(errors.empty());
}

TEST_F(FilterTest, a_period_that_ends_before_it_begins_is_wrong) {
  parse("since=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z");
  EXPECT_EQ(errors.total(), 1U);
  EXPECT_TRUE(problems().contains("must be after since"));
}

TEST_F(FilterTest, broken_pairs_and_encodings_do_no_harm) {
  for (const char* text : {"&", "&&=&", "=", "%", "limit", "limit=%", "limit=%zz", "%00=1", "a=b=c",
                           "patientId=%f", "cursor=%"}) {
    errors.clear();
    parse(text);
    if (std::string_view(text) != "&") EXPECT_FALSE(errors.empty()) << text;
  }
}

/// A query whose answer is the test's to give.
class FakeQuery final : public storage::ReportQuery {
 public:
  Result<ReportPage> reports(const Principal& principal, const ReportFilter& filter,
                             const QueryControl& control) override {
    return answer(principal, filter, control);
  }
  std::function<Result<ReportPage>(const Principal&, const ReportFilter&, const QueryControl&)>
      answer = [](auto&, auto&, auto&) -> Result<ReportPage> {
    return ReportPage{R"({"items":[],"next":null})", 0};
  };
};

/// One exchange on a real shard, with a real pool.
class ReportListTest : public testing::Test, public net::AnswersWaiter {
 protected:
  ReportListTest() { shard_.start(); }
  ~ReportListTest() override {
    workers.stop();
    on_shard([this] {
      if (context_ != nullptr) context_->release();
      pool_->close();
    });
    shard_.stop();
  }

  /// Runs `work` on the shard and waits for its end.
  void on_shard(std::function<void()> work) {
    std::promise<void> done;
    shard_.post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  void ask(ReportList& list, std::string_view parameters) {
    request_.query = parameters;
    on_shard([&] {
      writer_.begin({}, 0);
      exchange_.begin(request_, connection_, context_);
      list.handle(exchange_);
      if (exchange_.deferred() == nullptr) {
        ready_.set_value();
      } else {
        context_->notify(this);
      }
    });
  }
  void answers_ready() noexcept override { ready_.set_value(); }
  /// The response as bytes, once it is there.
  std::string response() {
    ready_.get_future().wait();
    std::string text;
    on_shard([&] {
      if (!writer_.finished()) context_->front()->answer->render(writer_);
      text = std::string(out_.view());
    });
    return text;
  }
  std::string respond_to(ReportList& list, std::string_view parameters) {
    ask(list, parameters);
    return response();
  }

  FakeQuery query;
  runtime::WorkerPool workers{{.name = "test", .threads = 1, .queue_max = 2}};
  net::ConnectionInfo connection_;

 private:
  runtime::Shard shard_{0};
  net::ByteBuffer out_;
  net::DateLine date_;
  net::Http1Writer writer_{out_, date_};
  net::ContextPool* pool_ = net::ContextPool::create();
  net::HttpExchange exchange_{shard_, writer_, *pool_};
  net::Request request_;
  net::ReadContext* context_ = nullptr;
  std::promise<void> ready_;
  friend class ReportListTest_a_client_that_goes_away_cancels_its_query_Test;
};

TEST_F(ReportListTest, a_page_is_sent_as_the_query_wrote_it) {
  ReportFilter seen;
  query.answer = [&](const Principal& who, const ReportFilter& filter, const QueryControl&) {
    EXPECT_TRUE(who.unrestricted);
    seen = filter;
    return Result<ReportPage>(ReportPage{R"({"items":[{"sequence":1}],"next":"abc"})", 1});
  };
  ReportList list({}, query, workers);
  std::string response = respond_to(list, "patientId=P-1&limit=1");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200 OK\r\n")) << response;
  EXPECT_TRUE(response.contains("application/json"));
  EXPECT_TRUE(response.ends_with(R"({"items":[{"sequence":1}],"next":"abc"})"));
  EXPECT_EQ(seen.patient_id, "P-1");
  EXPECT_EQ(seen.limit, 1U);
}

TEST_F(ReportListTest, wrong_parameters_are_refused_before_any_query) {
  query.answer = [](auto&, auto&, auto&) -> Result<ReportPage> {
    ADD_FAILURE();
    return ReportPage{};
  };
  ReportList list({}, query, workers);
  std::string response = respond_to(list, "limit=0&nonsense=1");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 400 ")) << response;
  EXPECT_TRUE(response.contains("application/problem+json"));
  json::value body = json::parse(response.substr(response.find("\r\n\r\n") + 4));
  EXPECT_EQ(body.at("errors").as_array().size(), 2U);
  EXPECT_EQ(body.at("errors").at(0).at("field").as_string(), "limit");
  EXPECT_EQ(body.at("errors").at(1).at("rule").as_string(), "unknown");
}

TEST_F(ReportListTest, a_forged_cursor_is_a_field_error) {
  query.answer = [](auto&, auto&, auto&) -> Result<ReportPage> {
    return fail(ErrorCode::invalid_argument, "cursor");
  };
  ReportList list({}, query, workers);
  std::string response = respond_to(list, "cursor=" + some_cursor);
  EXPECT_TRUE(response.starts_with("HTTP/1.1 400 ")) << response;
  EXPECT_TRUE(response.contains(R"("field":"cursor","rule":"format")")) << response;
}

TEST_F(ReportListTest, a_database_that_is_away_is_503_and_its_path_is_nobodys_business) {
  query.answer = [](auto&, auto&, auto&) -> Result<ReportPage> {
    return fail(ErrorCode::unavailable, "database /secret/place: cannot open");
  };
  ReportList list({}, query, workers);
  std::string response = respond_to(list, "");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 503 ")) << response;
  EXPECT_TRUE(response.contains("Retry-After")) << response;
  EXPECT_FALSE(response.contains("secret")) << response;
}

TEST_F(ReportListTest, a_slow_query_is_504_and_one_that_throws_is_500) {
  query.answer = [](auto&, auto&, auto&) -> Result<ReportPage> {
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  ReportList list({}, query, workers);
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 504 "));
}

TEST_F(ReportListTest, a_query_that_throws_is_500) {
  query.answer = [](auto&, auto&, auto&) -> Result<ReportPage> {
    throw std::runtime_error("patient P-1");
  };
  ReportList list({}, query, workers);
  std::string response = respond_to(list, "");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 500 ")) << response;
  EXPECT_FALSE(response.contains("P-1")) << response;
}

TEST_F(ReportListTest, a_full_pool_is_503) {
  std::promise<void> go;
  std::promise<void> begun;
  ASSERT_TRUE(workers.submit([&, released = go.get_future()]() mutable {
    begun.set_value();
    released.wait();
  }));
  begun.get_future().wait();
  while (workers.submit([] {})) {
  }
  ReportList list({}, query, workers);
  std::string response = respond_to(list, "");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 503 ")) << response;
  go.set_value();
}

TEST_F(ReportListTest, a_client_that_goes_away_cancels_its_query) {
  std::promise<void> asked;
  std::promise<bool> stopped;
  query.answer = [&](auto&, auto&, const QueryControl& control) -> Result<ReportPage> {
    std::mutex mutex;
    std::condition_variable_any waiting;
    std::unique_lock lock(mutex);
    asked.set_value();
    waiting.wait_for(lock, control.stop, std::chrono::seconds(20), [] { return false; });
    stopped.set_value(control.stop.stop_requested());
    return fail(ErrorCode::cancelled, "cancelled");
  };
  ReportList list({}, query, workers);
  ask(list, "");
  asked.get_future().wait();
  on_shard([this] {
    context_->notify(nullptr);
    context_->detach_incomplete(499);
    context_->release();  // what is still to come finds nobody
    context_ = nullptr;
  });
  EXPECT_TRUE(stopped.get_future().get());
}

TEST_F(ReportListTest, a_name_that_nobody_vouches_for_sees_nothing) {
  connection_.principal = "somebody";
  query.answer = [](const Principal& who, const ReportFilter&, const QueryControl&) {
    EXPECT_FALSE(who.unrestricted);
    EXPECT_EQ(who.subject, "somebody");
    EXPECT_TRUE(who.studies.empty());
    return Result<ReportPage>(ReportPage{R"({"items":[],"next":null})", 0});
  };
  ReportList list({}, query, workers);
  EXPECT_TRUE(respond_to(list, "").contains(" 200 "));
}

}  // namespace
}  // namespace trialwire::epro
