// SPDX-License-Identifier: Apache-2.0
// Runs the text cases of validation/*.txt through the real handlers, on a journal in memory. The
// format of a case is in validation/README.md.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/rfc3339.hpp"
#include "support/fake_appender.hpp"
#include "support/fake_exchange.hpp"
#include "support/gzip.hpp"
#include "support/intake_paths.hpp"

namespace trialwire::testing {
namespace {

namespace json = boost::json;

/// One request of a case and what must come of it.
struct Step {
  int line = 0;
  FakeRequest request;
  bool escapes = false;
  bool gzipped = false;
  auth::Principal principal = auth::anonymous();
  int status = 0;
  std::string expected;  // JSON; empty: any body
  std::string absent;    // text that must not occur in the answer
  std::vector<std::pair<std::string, std::string>> checks;
};

struct Case {
  std::string name;
  std::string file;
  int line = 0;
  epro::ReportIntakeOptions options;
  std::vector<Step> steps;
};

[[noreturn]] void malformed(const std::string& file, int line, std::string_view why) {
  fmt::print(stderr, "{}:{}: {}\n", file, line, why);
  std::exit(2);
}

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  TW_CHECK(result.ec == std::errc() && result.ptr == text.data() + text.size());
  return value;
}

void set_option(epro::ReportIntakeOptions& options, std::string_view setting) {
  std::size_t equals = setting.find('=');
  TW_CHECK(equals != std::string_view::npos);
  std::string_view name = setting.substr(0, equals), value = setting.substr(equals + 1);
  ingest::IntakeOptions& intake = options.intake;
  if (name == "unknown_fields") {
    intake.unknown_fields =
        value == "refuse" ? ingest::UnknownFields::refuse : ingest::UnknownFields::keep;
  } else if (name == "inflated_bytes_max") {
    intake.inflated_bytes_max = number(value);
  } else if (name == "answers_max") {
    options.report.answers_max = number(value);
  } else {
    auto small = static_cast<std::uint32_t>(number(value));
    TW_CHECK(name == "records_max" || name == "errors_max" || name == "object_fields_max");
    (name == "records_max"  ? intake.records_max
     : name == "errors_max" ? intake.errors_max
                            : intake.object_fields_max) = small;
  }
}

/// \n \r \t \\ \xNN, and \{COUNT*TEXT}.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    char c = text[++i];
    if (c == 'x') {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else if (c == '{') {
      std::size_t star = text.find('*', i), close = text.find('}', i);
      std::size_t count = number(text.substr(i + 1, star - i - 1));
      for (std::size_t n = 0; n < count; ++n) out += text.substr(star + 1, close - star - 1);
      i = close;
    } else {
      out += c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
    }
  }
  return out;
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : file_(path.filename().string()) {
    std::ifstream in(path, std::ios::binary);
    for (std::string line; std::getline(in, line);) lines_.push_back(line);
  }

  std::vector<Case> cases() {
    std::vector<Case> cases;
    while (skip_comments()) {
      if (!at("== ")) malformed(file_, line(), "a case starts with '== name'");
      cases.push_back({lines_[next_].substr(3), file_, line(), {}, {}});
      ++next_;
      while (skip_comments() && !at("== ")) cases.back().steps.push_back(step(cases.back()));
      if (cases.back().steps.empty()) malformed(file_, line(), "a case without a request");
    }
    return cases;
  }

 private:
  bool at(std::string_view prefix) const { return lines_[next_].starts_with(prefix); }
  int line() const { return static_cast<int>(next_) + 1; }
  bool skip_comments() {
    while (next_ < lines_.size() && (lines_[next_].empty() || at("#"))) ++next_;
    return next_ < lines_.size();
  }
  void need_line() {
    if (next_ == lines_.size()) malformed(file_, line(), "the file ends within a case");
  }

  /// "subject=P-1 study=T-1 site=S-1", each perhaps several times.
  auth::Principal principal(const std::string& claims) {
    auth::Principal who{.name = "client", .scopes = auth::Scopes::all()};
    std::istringstream words(claims);
    for (std::string word; words >> word;) {
      std::size_t equals = word.find('=');
      std::string name = word.substr(0, equals), value = word.substr(equals + 1);
      if (name == "subject") {
        who.subject = value;
      } else if (name == "study" || name == "site") {
        auth::Named& named = name == "study" ? who.studies : who.sites;
        named.kind = auth::Named::Kind::listed;
        named.names.push_back(value);
      } else {
        malformed(file_, line(), "a token has subject, study and site");
      }
    }
    return who;
  }

  Step step(Case& of) {
    Step result;
    result.line = line();
    for (; need_line(), at("@"); ++next_) {
      if (lines_[next_] == "@escapes")
        result.escapes = true;
      else if (lines_[next_] == "@gzip")
        result.gzipped = true;
      else if (at("@token "))
        result.principal = principal(lines_[next_].substr(7));
      else if (at("@set "))
        set_option(of.options, lines_[next_].substr(5));
      else
        malformed(file_, line(), "unknown directive");
    }
    if (!at("POST ")) malformed(file_, line(), "expected 'POST path'");
    result.request.path = lines_[next_++].substr(5);
    for (; need_line(), !lines_[next_].empty(); ++next_) {
      std::size_t colon = lines_[next_].find(": ");
      if (colon == std::string::npos) malformed(file_, line(), "expected 'Header: value'");
      result.request.headers.emplace_back(lines_[next_].substr(0, colon),
                                          lines_[next_].substr(colon + 2));
    }
    std::string body;
    for (++next_; need_line(), !at("--- "); ++next_) body.append(lines_[next_]).append("\n");
    if (!body.empty()) body.pop_back();
    if (result.escapes) body = unescape(body);
    result.request.body = result.gzipped ? gzip(body) : body;
    if (result.gzipped) result.request.headers.emplace_back("Content-Encoding", "gzip");
    read_verdict(result);
    return result;
  }

  /// "--- 200 stored=1 flags=2 absent=TEXT", then the JSON that the answer must contain.
  void read_verdict(Step& result) {
    std::istringstream words(lines_[next_++].substr(4));
    words >> result.status;
    for (std::string word; words >> word;) {
      std::size_t equals = word.find('=');
      if (equals == std::string::npos) malformed(file_, line(), "expected check=value");
      result.checks.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
    while (next_ < lines_.size() && !lines_[next_].empty()) {
      result.expected.append(lines_[next_++]).append("\n");
    }
  }

  std::string file_;
  std::vector<std::string> lines_;
  std::size_t next_ = 0;
};

/// Objects: every member that is expected must be there and no other where `exact`. Arrays: the
/// same length and order. The string "*" stands for any value.
bool contains(const json::value& actual, const json::value& expected) {
  if (expected.is_string() && expected.get_string() == "*") return true;
  if (expected.is_object() && actual.is_object()) {
    for (const auto& member : expected.get_object()) {
      const json::value* value = actual.get_object().if_contains(member.key());
      if (value == nullptr || !contains(*value, member.value())) return false;
    }
    return true;
  }
  if (expected.is_array() && actual.is_array()) {
    const json::array& left = actual.get_array();
    const json::array& right = expected.get_array();
    if (left.size() != right.size()) return false;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (!contains(left[i], right[i])) return false;
    }
    return true;
  }
  return actual == expected;
}

class ValidationCase : public ::testing::Test {
 public:
  explicit ValidationCase(const Case& of) : case_(of) {}

  void TestBody() override {
    FakeAppender appender;
    IntakePaths paths(case_.options, appender);
    for (const Step& step : case_.steps) {
      SCOPED_TRACE(fmt::format("{}:{}", case_.file, step.line));
      FakeExchange exchange(step.principal);
      exchange.begin(step.request);
      ingest::Intake* intake = paths.find(step.request.path);
      ASSERT_NE(intake, nullptr) << "no such path";
      std::int64_t now_ns = parse_rfc3339("2026-03-01T12:00:00Z")->unix_ns;
      exchange.run([&](net::Exchange& one) { intake->handle(one, now_ns); });
      if (appender.waiting()) appender.commit();
      judge(step, exchange.response(), appender);
    }
  }

 private:
  static void judge(const Step& step, const FakeResponse& response, const FakeAppender& appender) {
    EXPECT_EQ(response.status, step.status) << response.body;
    EXPECT_EQ(response.content_type,
              response.status == 200 ? "application/json" : "application/problem+json");
    boost::system::error_code failed;
    json::value actual = json::parse(response.body, failed);
    ASSERT_FALSE(failed) << "the answer is not JSON: " << response.body;
    if (!step.expected.empty()) {
      EXPECT_TRUE(contains(actual, json::parse(step.expected)))
          << "expected " << step.expected << "answered " << response.body;
    }
    if (response.status != 200) {
      EXPECT_TRUE(actual.as_object().contains("error"));
      EXPECT_TRUE(actual.as_object().contains("errors"));
    }
    for (const auto& [check, value] : step.checks) {
      if (check == "stored") {
        EXPECT_EQ(appender.stored.size(), number(value));
      } else if (check == "flags") {
        ASSERT_FALSE(appender.stored.empty());
        EXPECT_EQ(appender.stored.back().attributes.flags, number(value));
      } else if (check == "header") {
        const std::size_t colon = value.find(':');
        EXPECT_EQ(response.header(value.substr(0, colon)), value.substr(colon + 1));
      } else if (check == "absent") {
        EXPECT_EQ(response.body.find(value), std::string::npos) << response.body;
      } else {
        FAIL() << "unknown check " << check;
      }
    }
  }

  Case case_;
};

std::size_t register_cases() {
  const char* source = std::getenv("TRIALWIRE_SOURCE");
  std::filesystem::path folder =
      std::filesystem::path(source == nullptr ? "." : source) / "tests/conformance/validation";
  std::size_t count = 0;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const auto& file : files) {
    for (const Case& one : Reader(file).cases()) {
      std::string suite = "Validation_" + file.stem().string();
      ::testing::RegisterTest(suite.c_str(), one.name.c_str(), nullptr, nullptr, one.file.c_str(),
                              one.line,
                              [one]() -> ::testing::Test* { return new ValidationCase(one); });
      ++count;
    }
  }
  return count;
}

}  // namespace
}  // namespace trialwire::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  std::size_t count = trialwire::testing::register_cases();
  if (count < 80) {
    fmt::print(stderr, "only {} cases found: is TRIALWIRE_SOURCE the source tree?\n", count);
    return 2;
  }
  return RUN_ALL_TESTS();
}
