// SPDX-License-Identifier: Apache-2.0
// The spans of requests that end in other ways than by an answer in time.
#include <gmock/gmock.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/response.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire::net {
namespace {

using namespace std::chrono_literals;
using support::HttpClient;
using support::HttpServer;
using testing::ElementsAre;

struct Later final : DeferredAnswer {
  void render(ResponseWriter& writer) override { writer.start(200).body("text/plain", "late"); }
  bool abandon() noexcept override { return true; }
};

std::string traced(std::string_view path, std::string_view more = "") {
  return "GET " + std::string(path) +
         " HTTP/1.1\r\nHost: a\r\n"
         "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n" +
         std::string(more) + "\r\n";
}

class ServerTraces : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(router.add(Method::get, "/never/:id", [](Exchange& e) { e.defer<Later>(); }));
    ASSERT_TRUE(router.add(Method::get, "/now", [](Exchange& e) { e.respond(200, "a/b", ""); }));
  }
  /// Statuses of the spans, when there are so many.
  std::vector<std::int64_t> statuses(std::size_t count) const {
    while (tracer.recorded() < count) std::this_thread::yield();
    std::vector<std::int64_t> found;
    for (const telemetry::Span& span : tracer.recent(16)) found.push_back(span.numbers[0].value);
    return found;
  }

  telemetry::Tracer tracer{16};
  Router router;
};

TEST_F(ServerTraces, one_that_is_not_answered_in_time_ends_as_504) {
  HttpServer server(router, {.trace = {.tracer = &tracer}});
  HttpClient client(server.address());
  client.send(traced("/never/SECRET", "Request-Timeout: 0.05\r\n") + traced("/now"));
  EXPECT_EQ(client.read().status, 504);
  EXPECT_EQ(client.read().status, 200);
  EXPECT_THAT(statuses(2), ElementsAre(504, 200));
  EXPECT_EQ(tracer.recent(2)[0].name(), "GET /never/:id");
  EXPECT_TRUE(tracer.recent(2)[0].failed);
}

TEST_F(ServerTraces, one_whose_client_has_gone_ends_as_499) {
  HttpServer server(router, {.trace = {.tracer = &tracer}});
  HttpClient client(server.address());
  client.send(traced("/never/1") + traced("/never/2"));
  for (int flying = 0; flying < 2;) {
    flying = static_cast<int>(
        server.metric("trialwire_traces_total{result=\"traced\",server=\"http\"}"));
  }
  client.reset();
  server.wait_until_unconnected();
  EXPECT_THAT(statuses(2), ElementsAre(499, 499));
  EXPECT_FALSE(tracer.recent(1)[0].failed);  // it is not the server's fault
}

TEST_F(ServerTraces, without_a_tracer_the_header_is_nothing) {
  HttpServer server(router, {});
  HttpClient client(server.address());
  client.send(traced("/now"));
  EXPECT_EQ(client.read().status, 200);
  EXPECT_EQ(tracer.recorded(), 0U);
}

}  // namespace
}  // namespace trialwire::net
