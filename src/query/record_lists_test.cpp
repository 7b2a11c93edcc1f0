// SPDX-License-Identifier: Apache-2.0
#include "query/record_lists.hpp"

#include <gtest/gtest.h>

#include <array>
#include <boost/json.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>

#include <fmt/format.h>

#include "net/http_exchange.hpp"
#include "runtime/shard.hpp"
#include "storage/page_cursor.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::query {
namespace {

namespace json = boost::json;
using storage::ListFilter;
using storage::ListPage;
using storage::Principal;
using storage::QueryControl;

const std::string some_cursor = storage::encode_page_cursor({1, 2}, {3, 4});

constexpr std::array<storage::ListParameter, 2> list_parameters{
    {{"patientId", "patient_id"}, {"trialId", "trial_id"}}};
constexpr std::array<ListRoute, 1> routes{
    {{"/v1/epro/reports", {"epro_reports", list_parameters, {}}}}};

/// A query whose answer is the test's to give.
class FakeQuery final : public storage::RecordQuery {
 public:
  Result<ListPage> list(const Principal& principal, const storage::ListShape& shape,
                        const ListFilter& filter, const QueryControl& control) override {
    EXPECT_EQ(shape.table, "epro_reports");
    return answer(principal, filter, control);
  }
  std::function<Result<ListPage>(const Principal&, const ListFilter&, const QueryControl&)> answer =
      [](auto&, auto&, auto&) -> Result<ListPage> {
    return ListPage{R"({"items":[],"next":null})", 0};
  };
};

/// One exchange on a real shard, with a real pool.
class RecordListsTest : public testing::Test, public net::AnswersWaiter {
 protected:
  RecordListsTest() { shard_.start(); }
  ~RecordListsTest() override {
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
  void ask(RecordLists& list, std::string_view parameters) {
    request_.query = parameters;
    on_shard([&] {
      writer_.begin({}, 0);
      exchange_.begin(request_, connection_, principal_, context_);
      list.handle(list.routes().front(), exchange_);
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
  std::string respond_to(RecordLists& list, std::string_view parameters) {
    ask(list, parameters);
    return response();
  }

  FakeQuery query;
  runtime::WorkerPool workers{{.name = "test", .threads = 1, .queue_max = 2}};
  net::Request request_;
  net::ConnectionInfo connection_;
  auth::Principal principal_ = auth::anonymous();

 private:
  runtime::Shard shard_{0};
  net::ByteBuffer out_;
  net::DateLine date_;
  net::Http1Writer writer_{out_, date_};
  net::ContextPool* pool_ = net::ContextPool::create();
  net::HttpExchange exchange_{shard_, writer_, *pool_};
  net::ReadContext* context_ = nullptr;
  std::promise<void> ready_;
  friend class RecordListsTest_a_client_that_goes_away_cancels_its_query_Test;
};

TEST_F(RecordListsTest, a_page_is_sent_as_the_query_wrote_it) {
  ListFilter seen;
  query.answer = [&](const Principal& who, const ListFilter& filter, const QueryControl&) {
    EXPECT_TRUE(who.unrestricted);
    seen = filter;
    return Result<ListPage>(ListPage{R"({"items":[{"sequence":1}],"next":"abc"})", 1});
  };
  RecordLists list({}, routes, query, workers);
  std::string response = respond_to(list, "patientId=P-1&limit=1");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200 OK\r\n")) << response;
  EXPECT_TRUE(response.contains("application/json"));
  EXPECT_TRUE(response.ends_with(R"({"items":[{"sequence":1}],"next":"abc"})"));
  ASSERT_EQ(seen.equal.size(), 1U);
  EXPECT_EQ(seen.equal[0].column, "patient_id");
  EXPECT_EQ(seen.equal[0].value, "P-1");
  EXPECT_EQ(seen.limit, 1U);
}

TEST_F(RecordListsTest, wrong_parameters_are_refused_before_any_query) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    ADD_FAILURE();
    return ListPage{};
  };
  RecordLists list({}, routes, query, workers);
  std::string response = respond_to(list, "limit=0&nonsense=1");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 400 ")) << response;
  EXPECT_TRUE(response.contains("application/problem+json"));
  json::value body = json::parse(response.substr(response.find("\r\n\r\n") + 4));
  EXPECT_EQ(body.at("errors").as_array().size(), 2U);
  EXPECT_EQ(body.at("errors").at(0).at("field").as_string(), "limit");
  EXPECT_EQ(body.at("errors").at(1).at("rule").as_string(), "unknown");
}

TEST_F(RecordListsTest, a_forged_cursor_is_a_field_error) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::invalid_argument, "cursor");
  };
  RecordLists list({}, routes, query, workers);
  std::string response = respond_to(list, "cursor=" + some_cursor);
  EXPECT_TRUE(response.starts_with("HTTP/1.1 400 ")) << response;
  EXPECT_TRUE(response.contains(R"("field":"cursor","rule":"format")")) << response;
}

TEST_F(RecordListsTest, a_database_that_is_away_is_503_and_its_path_is_nobodys_business) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::unavailable, "database /secret/place: cannot open");
  };
  RecordLists list({}, routes, query, workers);
  std::string response = respond_to(list, "");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 503 ")) << response;
  EXPECT_TRUE(response.contains("Retry-After")) << response;
  EXPECT_FALSE(response.contains("secret")) << response;
}

TEST_F(RecordListsTest, a_slow_query_is_504_and_one_that_throws_is_500) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  RecordLists list({}, routes, query, workers);
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 504 "));
}

TEST_F(RecordListsTest, a_query_that_throws_is_500) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    throw std::runtime_error("patient P-1");
  };
  RecordLists list({}, routes, query, workers);
  std::string response = respond_to(list, "");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 500 ")) << response;
  EXPECT_FALSE(response.contains("P-1")) << response;
}

TEST_F(RecordListsTest, a_full_pool_is_503) {
  std::promise<void> go;
  std::promise<void> begun;
  ASSERT_TRUE(workers.submit([&, released = go.get_future()]() mutable {
    begun.set_value();
    released.wait();
  }));
  begun.get_future().wait();
  while (workers.submit([] {})) {
  }
  RecordLists list({}, routes, query, workers);
  std::string response = respond_to(list, "");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 503 ")) << response;
  go.set_value();
}

TEST_F(RecordListsTest, a_client_that_goes_away_cancels_its_query) {
  std::promise<void> asked;
  std::promise<bool> stopped;
  query.answer = [&](auto&, auto&, const QueryControl& control) -> Result<ListPage> {
    std::mutex mutex;
    std::condition_variable_any waiting;
    std::unique_lock lock(mutex);
    asked.set_value();
    waiting.wait_for(lock, control.stop, std::chrono::seconds(20), [] { return false; });
    stopped.set_value(control.stop.stop_requested());
    return fail(ErrorCode::cancelled, "cancelled");
  };
  RecordLists list({}, routes, query, workers);
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

TEST_F(RecordListsTest, a_token_s_claims_go_with_the_query) {
  principal_ = {.name = "nurse",
                .studies = {auth::Named::Kind::listed, {"T-1", "T-2"}},
                .sites = {auth::Named::Kind::listed, {"S-1"}},
                .subject = "P-1"};
  query.answer = [](const Principal& who, const ListFilter&, const QueryControl&) {
    EXPECT_FALSE(who.unrestricted);
    EXPECT_EQ(who.subject, "nurse");
    EXPECT_EQ(who.studies, (std::vector<std::string>{"T-1", "T-2"}));
    EXPECT_EQ(who.sites, std::vector<std::string>{"S-1"});
    EXPECT_EQ(who.own_patient, "P-1");
    return Result<ListPage>(ListPage{R"({"items":[],"next":null})", 0});
  };
  RecordLists list({}, routes, query, workers);
  EXPECT_TRUE(respond_to(list, "").contains(" 200 "));
}

TEST(VisibleTo, an_empty_list_or_none_of_studies_shows_nothing) {
  using Kind = auth::Named::Kind;
  auto shows = [](auth::Named studies, auth::Named sites) {
    auto seen = visible_to({.name = "n", .studies = std::move(studies), .sites = std::move(sites)});
    return seen.unrestricted || !seen.studies.empty();
  };
  EXPECT_TRUE(shows({Kind::all, {}}, {}));
  EXPECT_TRUE(shows({Kind::listed, {"T-1"}}, {Kind::all, {}}));
  EXPECT_FALSE(shows({}, {}));
  EXPECT_FALSE(shows({}, {Kind::all, {}}));
  EXPECT_FALSE(shows({Kind::listed, {}}, {}));
  EXPECT_FALSE(shows({Kind::all, {}}, {Kind::listed, {}}));
  EXPECT_TRUE(visible_to(auth::anonymous()).unrestricted);
}

class GuardedListsTest : public RecordListsTest {
 protected:
  telemetry::Registry metrics_;
  runtime::Guard guard_{
      "queries",
      {.kind = resilience::BreakerKind::ratio, .calls_min = 1, .open_for = std::chrono::hours(1)},
      metrics_};
};

TEST_F(GuardedListsTest, while_queries_fail_the_next_one_is_refused_without_a_worker) {
  guard_.begin().failed();
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    ADD_FAILURE();
    return ListPage{};
  };
  RecordLists list({.guard = &guard_}, routes, query, workers);
  std::string response = respond_to(list, "");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 503 ")) << response;
  EXPECT_TRUE(response.contains("Retry-After")) << response;
}

TEST_F(GuardedListsTest, a_query_that_runs_out_of_time_opens_the_breaker) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  RecordLists list({.guard = &guard_}, routes, query, workers);
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 504 "));
  EXPECT_EQ(guard_.state(), resilience::BreakerState::open);
}

TEST_F(GuardedListsTest, so_does_one_that_is_cancelled_when_its_time_is_over) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::cancelled, "by the connection's deadline");
  };
  RecordLists list({.query_timeout = std::chrono::milliseconds(45), .guard = &guard_}, routes,
                   query, workers);
  respond_to(list, "");
  EXPECT_EQ(guard_.state(), resilience::BreakerState::open);
}

TEST_F(GuardedListsTest, a_slow_query_is_not_the_database_s_fault_while_it_answers_others) {
  RecordLists list({.guard = &guard_}, routes, query, workers);
  query.answer = [&](auto&, auto&, auto&) -> Result<ListPage> {
    list.note_answer();  // somebody else's
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 504 "));
  EXPECT_EQ(guard_.state(), resilience::BreakerState::closed);
}

TEST_F(GuardedListsTest, an_answer_of_before_is_no_excuse) {
  RecordLists list({.guard = &guard_}, routes, query, workers);
  list.note_answer();
  query.answer = [&](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  respond_to(list, "");
  EXPECT_EQ(guard_.state(), resilience::BreakerState::open);
}

TEST_F(GuardedListsTest, what_no_worker_took_in_time_says_nothing_of_the_database) {
  query.answer = [](auto&, auto&, const QueryControl& control) -> Result<ListPage> {
    EXPECT_GE(std::chrono::steady_clock::now(), control.deadline);
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  RecordLists list({.query_timeout = std::chrono::milliseconds(0), .guard = &guard_}, routes, query,
                   workers);
  respond_to(list, "");
  EXPECT_EQ(guard_.state(), resilience::BreakerState::closed);
}

TEST_F(GuardedListsTest, a_client_that_hardly_waits_says_nothing_and_limits_its_query) {
  request_.timeout_ms = 50;
  query.answer = [](auto&, auto&, const QueryControl& control) -> Result<ListPage> {
    EXPECT_LE(control.deadline, std::chrono::steady_clock::now() + std::chrono::milliseconds(50));
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  RecordLists list({.guard = &guard_}, routes, query, workers);
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 504 "));
  EXPECT_EQ(guard_.state(), resilience::BreakerState::closed);
}

TEST_F(GuardedListsTest, one_whose_client_has_gone_says_nothing) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::cancelled, "the client has gone");
  };
  RecordLists list({.guard = &guard_}, routes, query, workers);
  respond_to(list, "");
  EXPECT_EQ(guard_.state(), resilience::BreakerState::closed);
}

TEST_F(RecordListsTest, a_name_without_studies_sees_nothing) {
  principal_ = {.name = "somebody"};
  query.answer = [](const Principal& who, const ListFilter&, const QueryControl&) {
    EXPECT_FALSE(who.unrestricted);
    EXPECT_EQ(who.subject, "somebody");
    EXPECT_TRUE(who.studies.empty());
    return Result<ListPage>(ListPage{R"({"items":[],"next":null})", 0});
  };
  RecordLists list({}, routes, query, workers);
  EXPECT_TRUE(respond_to(list, "").contains(" 200 "));
}

}  // namespace
}  // namespace trialwire::query
