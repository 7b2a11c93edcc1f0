// SPDX-License-Identifier: Apache-2.0
#include "status_page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trialwire {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view first = R"(# HELP trialwire_build_info What runs; always 1.
# TYPE trialwire_build_info gauge
trialwire_build_info{compiler="clang \"19\"",version="1.2.3"} 1
trialwire_journal_records_total 1000
trialwire_journal_payload_bytes_total 1048576
trialwire_journal_undelivered_bytes 1073741824
trialwire_journal_undelivered_bytes_limit 4294967296
trialwire_sink_lag_records{lane="0",sink="postgres"} 2000000
trialwire_sink_lag_bytes{lane="0",sink="postgres"} 1073741824
trialwire_sink_lag_seconds{lane="0",sink="postgres"} 7500
trialwire_sink_state{lane="0",sink="postgres",state="running"} 0
trialwire_sink_state{lane="0",sink="postgres",state="stuck"} 1
trialwire_sink_delivered_records_total{lane="0",sink="postgres"} 500
trialwire_sink_batch_records_sum{lane="0",sink="postgres"} 500
trialwire_sink_batch_records_count{lane="0",sink="postgres"} 5
trialwire_sink_deliver_seconds_sum{lane="0",sink="postgres"} 0.5
trialwire_sink_deliver_seconds_count{lane="0",sink="postgres"} 5
trialwire_sink_retries_total{lane="0",sink="postgres"} 42
trialwire_sink_dead_letters_waiting{sink="postgres"} 3
)";

std::string later() {
  std::string text(first);
  auto set = [&text](std::string_view from, std::string_view to) {
    text.replace(text.find(from), from.size(), to);
  };
  set("records_total 1000", "records_total 25680");
  set("sum{lane=\"0\",sink=\"postgres\"} 500\n", "sum{lane=\"0\",sink=\"postgres\"} 2548\n");
  set("count{lane=\"0\",sink=\"postgres\"} 5\n", "count{lane=\"0\",sink=\"postgres\"} 7\n");
  return text;
}

std::string page(std::string_view before, std::string_view now, double seconds, bool color) {
  MetricsPage first_page(before), second_page(now);
  return status_page({first_page, second_page, std::chrono::duration<double>(seconds)},
                     {.color = color});
}

TEST(StatusPageTest, rates_are_those_between_the_two_looks) {
  std::string text = page(first, later(), 2, false);
  EXPECT_THAT(text, HasSubstr("trialwire 1.2.3\n"));
  EXPECT_THAT(text, HasSubstr("intake    12,340 records/s, 0 B/s"));
  EXPECT_THAT(text, HasSubstr("undelivered 1.0 GiB of 4.0 GiB (25 %)"));
  EXPECT_THAT(text, ContainsRegex("postgres +0 +stuck +2,000,000 +1.0 GiB +2 h 5 min +0 +1,024"));
  EXPECT_THAT(text, HasSubstr("3 dead letters of postgres wait for you"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(StatusPageTest, without_a_look_before_rates_are_dashes) {
  std::string text = page(first, first, 0, false);
  EXPECT_THAT(text, HasSubstr("intake    - records/s"));
  EXPECT_THAT(text, ContainsRegex("2 h 5 min +- +- +- +42"));
}

TEST(StatusPageTest, a_processors_lag_in_bytes_is_not_known_and_not_shown_as_none) {
  std::string text(first);
  constexpr std::string_view bytes =
      "trialwire_sink_lag_bytes{lane=\"0\",sink=\"postgres\"} 1073741824\n";
  text.erase(text.find(bytes), bytes.size());
  EXPECT_THAT(page(text, text, 0, false), ContainsRegex("stuck +2,000,000 +- +2 h 5 min"));
}

TEST(StatusPageTest, a_server_that_was_started_anew_between_has_no_negative_rate) {
  std::string text = page(later(), first, 1, false);
  EXPECT_THAT(text, HasSubstr("intake    0 records/s"));
}

TEST(StatusPageTest, a_terminal_sees_states_in_color) {
  EXPECT_THAT(page(first, later(), 1, true), HasSubstr("\x1b[31mstuck    \x1b[0m"));
}

TEST(StatusPageTest, below_the_table_is_what_is_not_ready_and_why) {
  MetricsPage look(first);
  const std::string text = status_page({.before = look,
                                        .now = look,
                                        .apart = std::chrono::duration<double>(1),
                                        .readiness = "journal ok: next 12\n"
                                                     "sink kafka degraded: lag 5: wrong password\n"
                                                     "disk failed\n"},
                                       {});
  EXPECT_TRUE(text.ends_with("\n\nsink kafka degraded: lag 5: wrong password\ndisk failed\n"));
  EXPECT_THAT(text, Not(HasSubstr("next 12")));
}

TEST(StatusPageTest, shows_the_state_of_each_breaker_and_what_it_refused) {
  std::string text = page("",
                          "trialwire_breaker_state{dependency=\"kafka\",state=\"closed\"} 1\n"
                          "trialwire_breaker_state{dependency=\"kafka\",state=\"open\"} 0\n"
                          "trialwire_breaker_state{dependency=\"queries\",state=\"closed\"} 0\n"
                          "trialwire_breaker_state{dependency=\"queries\",state=\"open\"} 1\n"
                          "trialwire_breaker_calls_total{dependency=\"queries\",outcome="
                          "\"refused\"} 1204\n",
                          1, false);
  EXPECT_THAT(text, HasSubstr("breakers  kafka closed, queries open (1,204 calls refused)\n"));
}

TEST(StatusPageTest, counts_what_was_refused_before_it_was_handled) {
  std::string text =
      page("trialwire_journal_records_total 0\n",
           "trialwire_journal_records_total 0\n"
           "trialwire_ingest_requests_refused_total{code=\"overloaded\",kind=\"epro_report\"} 30\n"
           "trialwire_admission_refused_total{reason=\"rate_all\",server=\"http\"} 12\n",
           1, false);
  EXPECT_THAT(text, HasSubstr("refused 42 requests/s"));
}

TEST(StatusPageTest, of_a_page_without_sinks_it_says_so) {
  EXPECT_THAT(page("", "", 1, false), HasSubstr("no sinks"));
}

TEST(MetricsPageTest, samples_are_found_by_name_and_labels_escapes_included) {
  MetricsPage samples(
      "a{x=\"1\",y=\"a\\\"b\"} 2\na{x=\"2\"} 3.5\nb 1e3\n# c 1\nnonsense\na{x=\"3\" 4\n");
  EXPECT_EQ(samples.sum("a"), 5.5);
  EXPECT_EQ(samples.sum("a", {{"x", "2"}}), 3.5);
  EXPECT_EQ(samples.all("a", {{"x", "1"}}).at(0).labels.at("y"), "a\"b");
  EXPECT_EQ(samples.sum("b"), 1'000);
  EXPECT_FALSE(samples.sum("c"));
  EXPECT_EQ(samples.sum_or_zero("c"), 0);
}

TEST(StatusPageTest, names_the_routes_that_fail) {
  constexpr std::string_view routes =
      "trialwire_route_breaker_state{method=\"GET\",route=\"/v1/vitals\",state=\"closed\"} 1\n"
      "trialwire_route_breaker_state{method=\"GET\",route=\"/v1/vitals\",state=\"open\"} 0\n"
      "trialwire_route_breaker_state{method=\"POST\",route=\"/submit\",state=\"closed\"} 0\n"
      "trialwire_route_breaker_state{method=\"POST\",route=\"/submit\",state=\"open\"} 1\n"
      "trialwire_route_breaker_refused_total{method=\"POST\",route=\"/submit\"} 1204\n";
  EXPECT_THAT(page(routes, routes, 0, false),
              HasSubstr("routes    1 closed, POST /submit open (1,204 requests refused)\n"));
}

}  // namespace
}  // namespace trialwire
