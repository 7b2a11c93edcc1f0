// SPDX-License-Identifier: Apache-2.0
#include "query/record_lists.hpp"

#include <gtest/gtest.h>

#include <array>
#include <boost/json.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "net/http_exchange.hpp"
#include "query/audit_reason.hpp"
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

/// Takes every read at once, or as the test wants it.
class FakeReads final : public ReadLog {
 public:
  Result<void> admit(runtime::Shard&) override {
    if (admission_error) return std::unexpected(*admission_error);
    return {};
  }
  bool add(const Read& read, runtime::Shard&, journal::Waiter& waiter) override {
    reads.push_back(read);
    waiter_ = &waiter;
    if (takes && at_once) commit({});
    return takes;
  }
  /// On the shard's thread.
  void commit(const journal::Receipt& receipt) {
    std::exchange(waiter_, nullptr)->committed(receipt);
  }
  std::optional<Error> admission_error;
  bool takes = true;
  bool at_once = true;
  std::vector<Read> reads;

 private:
  journal::Waiter* waiter_ = nullptr;
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
    request_.headers = headers;
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
  void answers_ready() noexcept override {
    is_ready_ = true;
    ready_.set_value();
  }
  bool ready() const noexcept { return is_ready_; }
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
  FakeReads reads;
  std::vector<net::HeaderField> headers;
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
  bool is_ready_ = false;
  friend class RecordListsTest_a_client_that_goes_away_cancels_its_query_Test;
};

TEST_F(RecordListsTest, a_page_is_sent_as_the_query_wrote_it) {
  ListFilter seen;
  query.answer = [&](const Principal& who, const ListFilter& filter, const QueryControl&) {
    EXPECT_TRUE(who.unrestricted);
    seen = filter;
    return Result<ListPage>(ListPage{R"({"items":[{"sequence":1}],"next":"abc"})", 1});
  };
  RecordLists list({}, routes, query, workers, reads);
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
  RecordLists list({}, routes, query, workers, reads);
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
  RecordLists list({}, routes, query, workers, reads);
  std::string response = respond_to(list, "cursor=" + some_cursor);
  EXPECT_TRUE(response.starts_with("HTTP/1.1 400 ")) << response;
  EXPECT_TRUE(response.contains(R"("field":"cursor","rule":"format")")) << response;
}

TEST_F(RecordListsTest, a_database_that_is_away_is_503_and_its_path_is_nobodys_business) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::unavailable, "database /secret/place: cannot open");
  };
  RecordLists list({}, routes, query, workers, reads);
  std::string response = respond_to(list, "");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 503 ")) << response;
  EXPECT_TRUE(response.contains("Retry-After")) << response;
  EXPECT_FALSE(response.contains("secret")) << response;
}

TEST_F(RecordListsTest, a_slow_query_is_504_and_one_that_throws_is_500) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  RecordLists list({}, routes, query, workers, reads);
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 504 "));
}

TEST_F(RecordListsTest, a_query_that_throws_is_500) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    throw std::runtime_error("patient P-1");
  };
  RecordLists list({}, routes, query, workers, reads);
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
  RecordLists list({}, routes, query, workers, reads);
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
  RecordLists list({}, routes, query, workers, reads);
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
  RecordLists list({}, routes, query, workers, reads);
  EXPECT_TRUE(respond_to(list, "").contains(" 200 "));
}

constexpr std::string_view patient_page = R"({"items":[{"patientId":"P-1"}],"next":null})";

TEST_F(RecordListsTest, who_reads_what_is_audited_with_how_many_rows_and_not_with_them) {
  principal_ = {.name = "nurse",
                .roles = {"monitor"},
                .studies = {auth::Named::Kind::listed, {"T-1"}},
                .sites = {auth::Named::Kind::listed, {"S-1", "S-2"}}};
  connection_.origin = "http 10.0.0.1:5123";
  headers = {{"x-audit-reason", "query 17"}};
  query.answer = [](auto&, auto&, auto&) {
    return Result<ListPage>(ListPage{std::string(patient_page), 1});
  };
  RecordLists list({}, routes, query, workers, reads);
  EXPECT_TRUE(
      respond_to(list, "patientId=P-1&since=2026-03-01T00:00:00Z&limit=5").contains(" 200 "));
  ASSERT_EQ(reads.reads.size(), 1U);
  const Read& read = reads.reads.front();
  EXPECT_EQ(read.who, "nurse");
  EXPECT_EQ(read.roles, std::vector<std::string>{"monitor"});
  EXPECT_EQ(read.route, "/v1/epro/reports");
  EXPECT_EQ(read.study, "T-1");  // all that they may see is of it
  EXPECT_EQ(read.site, "");      // it may be of either
  EXPECT_EQ(read.patient, "P-1");
  EXPECT_EQ(read.filter, R"({"since":"2026-03-01T00:00:00.000Z","limit":5})");
  EXPECT_EQ(read.why, "query 17");
  EXPECT_EQ(read.origin, "http 10.0.0.1:5123");
  EXPECT_EQ(read.rows, 1U);
}

TEST_F(RecordListsTest, rows_are_not_sent_before_their_read_is_durable) {
  reads.at_once = false;
  query.answer = [](auto&, auto&, auto&) {
    return Result<ListPage>(ListPage{std::string(patient_page), 1});
  };
  RecordLists list({}, routes, query, workers, reads);
  ask(list, "");
  workers.stop();  // the query is done, and its page is on the shard, or on its way
  on_shard([] {});
  on_shard([&] {
    ASSERT_EQ(reads.reads.size(), 1U);
    EXPECT_FALSE(ready());
    reads.commit({});
  });
  EXPECT_TRUE(response().contains("P-1"));
}

TEST_F(RecordListsTest, a_read_that_the_journal_does_not_take_is_503_without_a_row) {
  query.answer = [](auto&, auto&, auto&) {
    return Result<ListPage>(ListPage{std::string(patient_page), 1});
  };
  reads.takes = false;
  RecordLists list({}, routes, query, workers, reads);
  std::string response = respond_to(list, "");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 503 ")) << response;
  EXPECT_TRUE(response.contains("Retry-After")) << response;
  EXPECT_FALSE(response.contains("P-1")) << response;
}

TEST_F(RecordListsTest, nor_is_one_whose_commit_failed) {
  query.answer = [](auto&, auto&, auto&) {
    return Result<ListPage>(ListPage{std::string(patient_page), 1});
  };
  reads.at_once = false;
  RecordLists list({}, routes, query, workers, reads);
  ask(list, "");
  workers.stop();
  on_shard([] {});
  on_shard([&] {
    reads.commit({.state = journal::Receipt::State::refused, .error = ErrorCode::disk_full});
  });
  std::string text = response();
  EXPECT_TRUE(text.starts_with("HTTP/1.1 503 ")) << text;
  EXPECT_FALSE(text.contains("P-1")) << text;
}

TEST_F(RecordListsTest, while_the_journal_is_full_no_query_is_made) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    ADD_FAILURE();
    return ListPage{};
  };
  reads.admission_error = Error{ErrorCode::disk_full, "full"};
  RecordLists list({}, routes, query, workers, reads);
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 503 "));
}

TEST_F(RecordListsTest, a_query_that_failed_has_read_nothing) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::unavailable, "away");
  };
  RecordLists list({}, routes, query, workers, reads);
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(reads.reads.empty());
}

TEST_F(RecordListsTest, a_reason_is_text_of_255_bytes_at_most_given_once) {
  const std::string longest(255, 'x');
  const std::string too_long(256, 'x');
  const std::pair<std::vector<net::HeaderField>, std::string_view> cases[]{
      {{{"X-Audit-Reason", longest}}, " 200 "},
      {{{"X-Audit-Reason", too_long}}, R"("rule":"length")"},
      {{{"X-Audit-Reason", "\xc3("}}, R"("rule":"encoding")"},
      {{{"X-Audit-Reason", "a\tb"}}, R"("rule":"encoding")"},
      {{{"X-Audit-Reason", "a"}, {"x-audit-reason", "b"}}, R"("rule":"duplicate")"},
  };
  for (const auto& [given, expected] : cases) {
    ingest::FieldErrors errors(5);
    net::Request request;
    request.headers = given;
    const std::string_view reason = audit_reason(request, errors);
    std::string json;
    errors.append_json(json);
    if (expected == " 200 ") {
      EXPECT_TRUE(errors.empty());
      EXPECT_EQ(reason, longest);
    } else {
      EXPECT_TRUE(json.contains(expected)) << json;
    }
  }
  headers = {{"X-Audit-Reason", too_long}};
  RecordLists list({}, routes, query, workers, reads);
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 400 "));
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
  RecordLists list({.guard = &guard_}, routes, query, workers, reads);
  std::string response = respond_to(list, "");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 503 ")) << response;
  EXPECT_TRUE(response.contains("Retry-After")) << response;
}

TEST_F(GuardedListsTest, a_query_that_runs_out_of_time_opens_the_breaker) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  RecordLists list({.guard = &guard_}, routes, query, workers, reads);
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 504 "));
  EXPECT_EQ(guard_.state(), resilience::BreakerState::open);
}

TEST_F(GuardedListsTest, so_does_one_that_is_cancelled_when_its_time_is_over) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::cancelled, "by the connection's deadline");
  };
  RecordLists list({.query_timeout = std::chrono::milliseconds(45), .guard = &guard_}, routes,
                   query, workers, reads);
  respond_to(list, "");
  EXPECT_EQ(guard_.state(), resilience::BreakerState::open);
}

TEST_F(GuardedListsTest, a_slow_query_is_not_the_database_s_fault_while_it_answers_others) {
  RecordLists list({.guard = &guard_}, routes, query, workers, reads);
  query.answer = [&](auto&, auto&, auto&) -> Result<ListPage> {
    list.note_answer();  // somebody else's
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 504 "));
  EXPECT_EQ(guard_.state(), resilience::BreakerState::closed);
}

TEST_F(GuardedListsTest, an_answer_of_before_is_no_excuse) {
  RecordLists list({.guard = &guard_}, routes, query, workers, reads);
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
                   workers, reads);
  respond_to(list, "");
  EXPECT_EQ(guard_.state(), resilience::BreakerState::closed);
}

TEST_F(GuardedListsTest, a_client_that_hardly_waits_says_nothing_and_limits_its_query) {
  request_.timeout_ms = 50;
  query.answer = [](auto&, auto&, const QueryControl& control) -> Result<ListPage> {
    EXPECT_LE(control.deadline, std::chrono::steady_clock::now() + std::chrono::milliseconds(50));
    return fail(ErrorCode::deadline_exceeded, "late");
  };
  RecordLists list({.guard = &guard_}, routes, query, workers, reads);
  EXPECT_TRUE(respond_to(list, "").starts_with("HTTP/1.1 504 "));
  EXPECT_EQ(guard_.state(), resilience::BreakerState::closed);
}

TEST_F(GuardedListsTest, one_whose_client_has_gone_says_nothing) {
  query.answer = [](auto&, auto&, auto&) -> Result<ListPage> {
    return fail(ErrorCode::cancelled, "the client has gone");
  };
  RecordLists list({.guard = &guard_}, routes, query, workers, reads);
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
  RecordLists list({}, routes, query, workers, reads);
  EXPECT_TRUE(respond_to(list, "").contains(" 200 "));
}

}  // namespace
}  // namespace trialwire::query
