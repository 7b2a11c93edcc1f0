// SPDX-License-Identifier: Apache-2.0
// Runs the cases of http/*.txt (their format: http/README.md) against the real server, whole and
// cut into pieces, and compares what the parser takes and refuses with Boost.Beast's.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "net/response.hpp"
#include "support/http_beast.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"

namespace trialwire {
namespace {

using namespace std::chrono_literals;

struct Expected {
  int status = 0;
  std::optional<std::string> body;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct Case {
  std::string file;
  int line = 0;
  std::string name;
  std::string bytes;
  std::vector<Expected> answers;
  bool stays = false;
  bool whole_only = false;
  bool head = false;
  std::string beast;   // "", "accepts" or "refuses"
  std::string server;  // "", "of-rate" or "overloaded": one of its own
};

std::string repeat(std::string_view spec) {
  std::size_t star = spec.find('*');
  std::string out;
  for (int n = std::atoi(std::string(spec.substr(0, star)).c_str()); n > 0; --n)
    out += spec.substr(star + 1);
  return out;
}

/// \r \n \t \\ \xHH and \{N*text}, which may hold escapes itself.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    char kind = text.at(++i);
    if (kind == 'r') out += '\r';
    if (kind == 'n') out += '\n';
    if (kind == 't') out += '\t';
    if (kind == '\\') out += '\\';
    if (kind == 'x') {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    }
    if (kind == '{') {
      std::size_t end = text.find('}', i);
      if (end == std::string_view::npos) throw std::runtime_error("a repetition does not end");
      out += unescape(repeat(text.substr(i + 1, end - i - 1)));
      i = end;
    }
  }
  return out;
}

void read_line(Case& current, const std::string& line, const std::string& where) {
  auto after = [&](std::size_t n) { return line.size() > n ? line.substr(n) : std::string(); };
  if (line.starts_with("> ")) {
    current.bytes += unescape(after(2));
  } else if (line.starts_with("< ")) {
    Expected expected;
    expected.status = std::atoi(after(2).c_str());
    if (line.size() > 5) expected.body = unescape(after(6));
    current.answers.push_back(expected);
  } else if (line.starts_with("has ")) {
    std::size_t colon = line.find(": ");
    current.answers.at(current.answers.size() - 1)
        .headers.emplace_back(line.substr(4, colon - 4), line.substr(colon + 2));
  } else if (line == "stays" || line == "closes") {
    current.stays = line == "stays";
  } else if (line == "head") {
    current.head = true;
  } else if (line == "whole") {
    current.whole_only = true;
  } else if (line.starts_with("server ")) {
    current.server = after(7);
  } else if (line.starts_with("beast ")) {
    current.beast = line.substr(6, 7);
    EXPECT_NE(line.find(": "), std::string::npos) << where << ": a reason is missing";
  } else {
    ADD_FAILURE() << where << ": not understood: " << line;
  }
}

std::vector<Case> read_cases() {
  const char* source = std::getenv("TRIALWIRE_SOURCE");
  std::filesystem::path folder(source == nullptr ? "." : source);
  folder /= "tests/conformance/http";
  std::vector<Case> cases;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream in(file);
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
      std::string where = file.filename().string() + ":" + std::to_string(number);
      if (line.empty() || line[0] == '#') continue;
      if (line.starts_with("== ")) {
        cases.push_back({.file = file.filename().string(), .line = number, .name = line.substr(3)});
      } else if (cases.empty()) {
        ADD_FAILURE() << where << ": before the first case";
      } else {
        read_line(cases.back(), line, where);
      }
    }
  }
  return cases;
}

class HttpConformance : public ::testing::Test {
 protected:
  HttpConformance() {
    auto echo = [](net::Exchange& e) { e.respond(200, "text/plain", e.request().body); };
    auto target = [](net::Exchange& e) {
      std::string text(e.request().path);
      if (!e.request().query.empty()) text += "?" + std::string(e.request().query);
      e.respond(200, "text/plain", text);
    };
    auto param = [](net::Exchange& e) { e.respond(200, "text/plain", *e.request().param("p")); };
    EXPECT_TRUE(router_.add(net::Method::post, "/echo", echo));
    EXPECT_TRUE(router_.add(net::Method::put, "/echo", echo));
    EXPECT_TRUE(router_.add(net::Method::get, "/", target));
    EXPECT_TRUE(router_.add(net::Method::get, "/target", target));
    EXPECT_TRUE(router_.add(net::Method::get, "/param/:p", param));
    EXPECT_TRUE(router_.add(net::Method::get, "/rest/*p", param));
    EXPECT_TRUE(router_.add(net::Method::post, "/intake", echo, {.kind = net::RouteKind::intake}));
    server_ = make_server({});
  }

  std::unique_ptr<support::HttpServer> make_server(net::AdmissionOptions admission) {
    return std::make_unique<support::HttpServer>(
        router_, net::ServerOptions{.body_bytes_max = 1'000,
                                    .header_timeout = 1s,
                                    .body_timeout = 1s,
                                    .linger_timeout = 100ms,
                                    .admission = std::move(admission)});
  }
  /// The case's own server, as new; null: it has none.
  std::unique_ptr<support::HttpServer> server_of(const Case& test) {
    if (test.server == "of-rate") {
      return make_server({.address = {.per_second = 1, .burst = 3}});
    }
    if (test.server == "overloaded") {
      return make_server({.commit_age_max = 1s, .commit_age_ns = [](unsigned, std::int64_t) {
                            return std::int64_t{2'000'000'000};
                          }});
    }
    EXPECT_EQ(test.server, "") << "no such server";
    return nullptr;
  }

  /// The case's bytes, `piece` at a time.
  void run(const Case& test, std::size_t piece) {
    SCOPED_TRACE(test.file + ":" + std::to_string(test.line) + " " + test.name + ", pieces of " +
                 std::to_string(piece));
    auto own_server = server_of(test);
    support::HttpClient client((own_server ? *own_server : *server_).address());
    for (std::size_t at = 0; at < test.bytes.size(); at += piece)
      client.send(std::string_view(test.bytes).substr(at, piece));
    for (const Expected& expected : test.answers) {
      auto answer = client.read(test.head);
      ASSERT_EQ(answer.status, expected.status);
      if (expected.body) EXPECT_EQ(answer.body, *expected.body);
      for (const auto& [name, value] : expected.headers) EXPECT_EQ(answer.header(name), value);
      if (expected.status >= 400)
        EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
    }
    if (test.stays) {
      client.send("GET /param/probe HTTP/1.1\r\nHost: a\r\n\r\n");
      EXPECT_EQ(client.read().body, "probe");
    } else {
      EXPECT_EQ(client.read_to_end(), "");
      EXPECT_TRUE(client.closed());
    }
  }

  net::Router router_;
  std::unique_ptr<support::HttpServer> server_;
};

TEST_F(HttpConformance, every_case_has_its_outcome_whole_and_in_pieces) {
  auto cases = read_cases();
  EXPECT_GE(cases.size(), 100U);
  for (const Case& test : cases) {
    run(test, test.bytes.size() + 1);
    if (test.whole_only) continue;
    run(test, test.bytes.size() > 2'000 ? 997 : 7);
  }
}

TEST_F(HttpConformance, the_parser_agrees_with_beast_but_for_the_differences_that_cases_name) {
  for (const Case& test : read_cases()) {
    SCOPED_TRACE(test.file + ":" + std::to_string(test.line) + " " + test.name);
    auto ours = support::parse_stream(test.bytes, {}, {}, 1'000);
    auto beast = support::parse_stream_with_beast(test.bytes, 1'000);
    bool our_refusal = ours.end == support::StreamEnd::refused;
    bool its_refusal = beast.end == support::StreamEnd::refused;
    std::string difference;
    if (our_refusal && !its_refusal) difference = "accepts";
    if (!our_refusal && its_refusal) difference = "refuses";
    EXPECT_EQ(difference, test.beast);
    for (std::size_t i = 0; i < ours.requests.size() && i < beast.requests.size(); ++i)
      EXPECT_TRUE(ours.requests[i] == beast.requests[i]) << "request " << i;
  }
}

TEST_F(HttpConformance, no_two_cases_have_the_same_name) {
  std::map<std::string, int> names;
  for (const Case& test : read_cases()) EXPECT_EQ(names[test.name]++, 0) << test.name;
}

}  // namespace
}  // namespace trialwire
