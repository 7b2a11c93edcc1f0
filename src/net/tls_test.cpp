// SPDX-License-Identifier: Apache-2.0
// TLS as a client sees it: real connections to a real server.
#include "net/tls.hpp"

#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <gmock/gmock.h>

#include "net/response.hpp"
#include "net/server.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"
#include "support/tls_client.hpp"

namespace trialwire::net {
namespace {

using namespace std::chrono_literals;
using support::Authority;
using support::HttpClient;
using support::HttpServer;
using support::TlsClient;
using ::testing::HasSubstr;
using ::testing::Not;

std::int64_t unix_now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    std::signal(SIGPIPE, SIG_IGN);  // the client here is OpenSSL's
    std::filesystem::create_directories(directory_);
    EXPECT_TRUE(router_.add(Method::get, "/hello",
                            [](Exchange& e) { e.respond(200, "text/plain", "hello"); }));
    EXPECT_TRUE(router_.add(Method::post, "/echo",
                            [](Exchange& e) { e.respond(200, "text/plain", e.request().body); },
                            {.body_bytes_max = 8 << 20}));
    put(authority_.sign("first"));
  }
  ~TlsTest() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path write(const std::string& name, std::string_view content,
                              mode_t mode = 0600) {
    const auto file = directory_ / name;
    const auto made = directory_ / "new";
    std::ofstream(made, std::ios::binary) << content;
    ::chmod(made.c_str(), mode);
    std::filesystem::rename(made, file);
    return file;
  }
  void put(const Authority::Signed& pair) {
    write("cert.pem", pair.certificate);
    write("key.pem", pair.key);
  }
  TlsOptions files() const {
    return {.certificate = directory_ / "cert.pem", .key = directory_ / "key.pem"};
  }
  HttpServer& serve(ServerOptions options = {}) { return serve(files(), std::move(options)); }
  HttpServer& serve(const TlsOptions& tls, ServerOptions options) {
    auto opened = TlsCertificates::open(tls, metrics_);
    EXPECT_TRUE(opened) << opened.error().text;
    certificates_ = std::move(*opened);
    options.tls = certificates_.get();
    server_ = std::make_unique<HttpServer>(router_, std::move(options));
    return *server_;
  }
  std::string problem(const TlsOptions& tls) {
    auto made = make_tls_context(tls);
    return made ? "none" : made.error().text;
  }
  std::string name_served() { return TlsClient(server_->address(), authority_).server_name(); }

  const std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("tls_test." + std::to_string(::getpid()));
  const Authority authority_{"an authority"};
  const Authority other_{"another authority"};
  telemetry::Registry metrics_;
  Router router_;
  std::unique_ptr<TlsCertificates> certificates_;
  std::unique_ptr<HttpServer> server_;
};

std::string get(std::string_view path = "/hello", std::string_view more = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(more) + "\r\n";
}
std::string post(const std::string& body) {
  return "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

TEST_F(TlsTest, answers_over_1_2_and_1_3_and_refuses_what_is_older) {
  serve();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(server_->address(), authority_, {.version = version});
    ASSERT_TRUE(client.greeted());
    EXPECT_EQ(client.version(), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    client.send(get() + get());
    EXPECT_EQ(client.read().body, "hello");
    EXPECT_EQ(client.read().body, "hello") << "keep-alive, pipelined";
  }
  EXPECT_FALSE(TlsClient(server_->address(), authority_, {.version = TLS1_1_VERSION}).greeted());
  EXPECT_EQ(server_->metric("trialwire_tls_handshakes_total{result=\"ok\",server=\"http\"}"), 2);
  server_->wait_until_unconnected();
  EXPECT_EQ(server_->metric("trialwire_tls_handshakes_total{result=\"failed\",server=\"http\"}"),
            1);
}

TEST_F(TlsTest, bodies_of_many_records_go_both_ways_unchanged) {
  serve({.body_bytes_max = 8 << 20});
  TlsClient client(server_->address(), authority_);
  std::string body(5 << 20, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i * i % 23);
  for (const std::size_t size : {1UL, 16'383UL, 16'384UL, 16'385UL, 300'000UL, body.size()}) {
    const std::string part = body.substr(0, size);
    // The answer of the last is larger than what the sockets hold: it is waited for meanwhile.
    client.send(post(part));
    EXPECT_EQ(client.read().body, part) << size;
  }
}

TEST_F(TlsTest, buffers_that_are_kept_or_given_back_between_records_change_nothing) {
  for (const std::size_t kept : {0UL, 1UL, 100UL}) {
    serve({.body_bytes_max = 8 << 20, .tls_kept_buffers = kept});
    TlsClient first(server_->address(), authority_);
    for (int i = 0; i < 3; ++i) {
      // With one connection they are kept, with two no more, and then again.
      TlsClient second(server_->address(), authority_);
      for (TlsClient* client : {&first, &second}) {
        const std::string body(20'000UL * static_cast<unsigned>(i + 1), 'b');
        client->send(post(body) + post("x"));
        EXPECT_EQ(client->read().body, body) << kept;
        EXPECT_EQ(client->read().body, "x") << kept;
      }
    }
  }
}

TEST_F(TlsTest, a_body_that_comes_byte_by_byte_in_records_is_put_together) {
  serve();
  TlsClient client(server_->address(), authority_);
  for (const char each : post("in pieces") + get()) client.send({&each, 1});
  EXPECT_EQ(client.read().body, "in pieces");
  EXPECT_EQ(client.read().body, "hello");
}

TEST_F(TlsTest, more_pipelined_requests_than_one_turn_answers_are_all_answered) {
  serve();
  TlsClient client(server_->address(), authority_);
  constexpr int count = 3'000;  // of one read: limits.pipelined, 1,024
  std::string all;
  for (int i = 0; i < count; ++i) all += get();
  client.send(all);
  for (int i = 0; i < count; ++i) ASSERT_EQ(client.read().status, 200) << i;
}

TEST_F(TlsTest, the_end_is_said_before_the_connection_closes) {
  serve();
  TlsClient client(server_->address(), authority_);
  client.send(get("/hello", "Connection: close\r\n"));
  EXPECT_THAT(client.read_to_end(), HasSubstr("hello"));
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(client.ended_in_order());
}

TEST_F(TlsTest, a_refusal_reaches_who_is_still_sending) {
  serve({.body_bytes_max = 1'000});
  TlsClient client(server_->address(), authority_);
  client.send("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" +
              std::string(200'000, 'x'));
  EXPECT_EQ(client.read().status, 413);
}

TEST_F(TlsTest, http_1_1_is_what_is_chosen_and_nothing_else) {
  serve();
  EXPECT_EQ(TlsClient(server_->address(), authority_, {.protocols = {"h2", "http/1.1"}}).protocol(),
            "http/1.1");
  EXPECT_FALSE(
      TlsClient(server_->address(), authority_, {.protocols = {"h2", "spdy/3"}}).greeted());
  TlsClient silent(server_->address(), authority_);
  EXPECT_TRUE(silent.greeted());
  EXPECT_EQ(silent.protocol(), "");
}

TEST_F(TlsTest, a_session_is_resumed) {
  serve();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient first(server_->address(), authority_, {.version = version});
    first.send(get());
    EXPECT_EQ(first.read().status, 200);
    EXPECT_FALSE(first.resumed());
    TlsClient second(server_->address(), authority_,
                     {.version = version, .resume = first.session()});
    EXPECT_TRUE(second.resumed());
    second.send(get());
    EXPECT_EQ(second.read().status, 200);
  }
}

TEST_F(TlsTest, who_does_not_speak_tls_is_closed) {
  serve();
  for (const std::string& hello : {get(), std::string(100'000, '\x16'), std::string("\0\0", 2)}) {
    HttpClient plain(server_->address());
    plain.send(hello);
    plain.end_sending();
    EXPECT_THAT(plain.read_to_end(), Not(HasSubstr("HTTP/"))) << "an alert at most";
    EXPECT_TRUE(plain.closed() || hello.size() > 1'000) << "a reset when bytes were left";
  }
  server_->wait_until_unconnected();
  TlsClient client(server_->address(), authority_);
  client.send(get());
  EXPECT_EQ(client.read().status, 200);
}

TEST_F(TlsTest, who_says_nothing_or_half_a_hello_has_the_time_of_a_head) {
  serve({.header_timeout = 200ms, .idle_timeout = 60s});
  HttpClient silent(server_->address());
  HttpClient slow(server_->address());
  slow.send(std::string("\x16\x03\x01\x02\x00\x01", 6));
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_EQ(slow.read_to_end(), "");
  EXPECT_TRUE(silent.closed());
  EXPECT_TRUE(slow.closed());
}

TEST_F(TlsTest, once_greeted_a_connection_may_be_idle) {
  serve({.header_timeout = 200ms, .idle_timeout = 60s});
  TlsClient client(server_->address(), authority_);
  client.send(get());
  EXPECT_EQ(client.read().status, 200);
  std::this_thread::sleep_for(600ms);
  client.send(get());
  EXPECT_EQ(client.read().status, 200);
}

TEST_F(TlsTest, with_an_authority_of_clients_a_stranger_is_refused) {
  auto tls = files();
  tls.client_ca = write("clients.pem", authority_.pem());
  serve(tls, {});
  const auto known = authority_.sign("a device");
  const auto stranger = other_.sign("a device");
  const auto expired = authority_.sign("an old device", -60);
  auto answered = [&](const Authority::Signed* own, int version) {
    TlsClient client(server_->address(), authority_, {.version = version, .own = own});
    client.send(get());  // TLS 1.3: only now is it known whether the server agreed
    return client.read().status == 200;
  };
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    EXPECT_TRUE(answered(&known, version));
    EXPECT_FALSE(answered(nullptr, version));
    EXPECT_FALSE(answered(&stranger, version));
    EXPECT_FALSE(answered(&expired, version));
  }
}

TEST_F(TlsTest, a_replaced_certificate_is_for_new_connections) {
  serve();
  TlsClient early(server_->address(), authority_);
  put(authority_.sign("second"));
  EXPECT_EQ(name_served(), "first") << "until it is looked";
  certificates_->refresh(unix_now_s());
  EXPECT_EQ(name_served(), "second");
  early.send(get());
  EXPECT_EQ(early.read().status, 200);
  EXPECT_EQ(early.server_name(), "first");
  certificates_->refresh(unix_now_s());
  EXPECT_THAT(metrics_.text(), HasSubstr("trialwire_tls_reloads_total{result=\"ok\"} 1\n"));
}

TEST_F(TlsTest, what_cannot_be_used_leaves_the_old_in_force_and_is_seen) {
  serve();
  const auto good = authority_.sign("good");
  int failures = 0;
  auto expect_refused = [&](const char* why) {
    certificates_->refresh(unix_now_s());
    EXPECT_EQ(name_served(), "first") << why;
    EXPECT_THAT(metrics_.text(), HasSubstr("trialwire_tls_certificate_current 0\n")) << why;
    EXPECT_THAT(metrics_.text(), HasSubstr("trialwire_tls_reloads_total{result=\"failed\"} " +
                                           std::to_string(++failures) + "\n"))
        << why;
  };
  write("cert.pem", "no certificate");
  expect_refused("broken");
  write("cert.pem", good.certificate);
  expect_refused("the key is still of the other");
  put(authority_.sign("late", -60));
  expect_refused("expired");
  std::filesystem::remove(directory_ / "cert.pem");
  expect_refused("gone");
  put(good);
  certificates_->refresh(unix_now_s());
  EXPECT_EQ(name_served(), "good");
  EXPECT_THAT(metrics_.text(), HasSubstr("trialwire_tls_certificate_current 1\n"));
}

TEST_F(TlsTest, what_could_not_be_read_is_read_as_soon_as_it_can) {
  serve();
  put(authority_.sign("second"));
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = files.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  certificates_->refresh(unix_now_s());
  certificates_->refresh(unix_now_s());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_EQ(name_served(), "first");
  EXPECT_THAT(metrics_.text(), HasSubstr("trialwire_tls_certificate_current 0\n"));
  EXPECT_THAT(metrics_.text(), HasSubstr("trialwire_tls_reloads_total{result=\"failed\"} 1\n"));
  certificates_->refresh(unix_now_s());
  EXPECT_EQ(name_served(), "second") << "though no file has changed";
}

TEST_F(TlsTest, a_server_whose_certificate_has_expired_starts_and_says_until_when_it_was_valid) {
  put(authority_.sign("old", -60));
  serve();
  HttpClient client(server_->address());
  const std::string page = metrics_.text();
  const std::string name = "trialwire_tls_certificate_not_after_seconds ";
  const auto at = page.find("\n" + name);
  ASSERT_NE(at, std::string::npos);
  EXPECT_NEAR(std::stod(page.substr(at + 1 + name.size())), static_cast<double>(unix_now_s() - 60),
              5);
}

TEST_F(TlsTest, files_that_cannot_be_used_are_named_and_never_quoted) {
  const auto pair = authority_.sign("one");
  const auto cert = write("c.pem", pair.certificate);
  const auto key = write("k.pem", pair.key);
  EXPECT_EQ(problem({.certificate = cert, .key = key}), "none");
  EXPECT_EQ(problem({.certificate = cert, .key = key, .client_ca = write("ca", authority_.pem())}),
            "none");
  auto expect_named = [&](const TlsOptions& tls, const std::string& file, const char* what) {
    const std::string text = problem(tls);
    EXPECT_THAT(text, HasSubstr(directory_ / file));
    EXPECT_THAT(text, HasSubstr(what));
    EXPECT_THAT(text, Not(HasSubstr("PRIVATE")));
  };
  expect_named({.certificate = directory_ / "none.pem", .key = key}, "none.pem", "cannot read");
  expect_named({.certificate = cert, .key = directory_ / "none.pem"}, "none.pem", "cannot read");
  expect_named({.certificate = write("x", "x"), .key = key}, "x", "no certificate");
  expect_named({.certificate = write("cut", pair.certificate.substr(0, 200)), .key = key}, "cut",
               "cannot be read");
  expect_named({.certificate = cert, .key = write("x", "x")}, "x", "no private key");
  expect_named({.certificate = cert, .key = write("o", other_.sign("two").key)}, "o",
               "not the key of");
  expect_named({.certificate = cert, .key = write("open", pair.key, 0644)}, "open", "chmod 600");
  expect_named({.certificate = write("loose", pair.certificate, 0666), .key = key}, "loose",
               "chmod o-w");
  expect_named({.certificate = cert, .key = key, .client_ca = write("x", "x")}, "x",
               "no certificate");
}

TEST_F(TlsTest, a_client_that_goes_away_at_any_byte_leaves_nothing) {
  serve();
  for (int i = 0; i < 200; ++i) {
    TlsClient client(server_->address(), authority_);
    if (i % 2 == 0) client.send(post(std::string(static_cast<std::size_t>(i) * 500, 'x')));
    client.reset();
  }
  server_->wait_until_unconnected();
  TlsClient client(server_->address(), authority_);
  client.send(get());
  EXPECT_EQ(client.read().status, 200);
}

}  // namespace
}  // namespace trialwire::net
