// SPDX-License-Identifier: Apache-2.0
#include "config/loader.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "config/pages.hpp"
#include "config/schema.hpp"

namespace trialwire::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> problems(std::string_view yaml,
                                  const std::vector<std::string>& assignments = {}) {
  auto loaded = load_text(yaml, "t.yaml", assignments);
  std::vector<std::string> lines;
  if (!loaded) {
    for (const Problem& problem : loaded.error()) lines.push_back(problem.text());
  }
  return lines;
}

TEST(Loader, HasDefaultsWithoutAFile) {
  auto settings = load({});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->http.listen, "127.0.0.1:8080");
  EXPECT_EQ(settings->admin.listen, "127.0.0.1:6060");
  EXPECT_EQ(settings->journal.segment_bytes, 128U << 20);
  EXPECT_EQ(settings->runtime.drain, 5500ms);
}

TEST(Loader, ReadsAFileAndAssignmentsOverIt) {
  auto settings = load_text(
      "data_dir: /srv/tw\n"
      "roles: [gateway, processor]\n"
      "journal: { sync: always, io: buffered, segment_bytes: 64MiB }\n"
      "log:\n  format: json\n",
      "t.yaml", {"journal.segment_bytes=32MiB", "journal.segment_bytes=16MiB", "log.level=warn"});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->data_dir, "/srv/tw");
  EXPECT_THAT(settings->roles, ElementsAre(Role::gateway, Role::processor));
  EXPECT_EQ(settings->journal.io, JournalIo::buffered);
  EXPECT_EQ(settings->journal.segment_bytes, 16U << 20);
  EXPECT_EQ(settings->log.format, LogFormat::json);
  EXPECT_EQ(settings->log.level, LogLevel::warn);
}

TEST(Loader, TakesAnEmptyFileAndEmptySections) {
  EXPECT_TRUE(load_text("", "t"));
  EXPECT_TRUE(load_text("# nothing\n---\n", "t"));
  EXPECT_TRUE(load_text("journal:\n", "t"));
}

TEST(Loader, NamesLineAndNearestOfAnUnknownKey) {
  EXPECT_THAT(problems("data_dir: x\njournal:\n  segmnet_bytes: 1MiB\n"),
              ElementsAre("t.yaml:3: journal.segmnet_bytes: is no setting; the nearest is "
                          "journal.segment_bytes"));
  EXPECT_THAT(problems("jurnal: { sync: none }\n"),
              ElementsAre("t.yaml:1: jurnal: is no setting; the nearest is journal"));
  EXPECT_THAT(problems("segment_bytes: 1MiB\n"),
              ElementsAre("t.yaml:1: segment_bytes: is no setting; the nearest is "
                          "journal.segment_bytes"));
  EXPECT_THAT(problems("", {"limits.max_connections=5"}),
              ElementsAre("--set: limits.max_connections: is no setting; the nearest is "
                          "limits.connections"));
}

TEST(Loader, RefusesWhatItDoesNotDo) {
  for (std::string_view yaml : {"tcp: { listen: 127.0.0.1:7001 }", "alerts: { rules: \"\" }"}) {
    EXPECT_THAT(problems(yaml), ElementsAre(HasSubstr("is no setting"))) << yaml;
  }
}

TEST(Loader, ReportsEverythingAtOnce) {
  auto lines = problems("runtime: { shards: many }\nlog: { level: loud }\nfoo: 1\n",
                        {"http.listen=8080", "novalue", "=x", "roles=gateway,bogus"});
  EXPECT_THAT(
      lines,
      ElementsAre("t.yaml:1: runtime.shards: must be a whole number, 0 to 1024",
                  "t.yaml:2: log.level: must be one of trace, debug, info, warn, error, off",
                  HasSubstr("t.yaml:3: foo: is no setting"),
                  "--set: http.listen: must be an IP address and a port such as 127.0.0.1:8080 or "
                  "[::1]:0, or empty for none",
                  "--set: novalue: wants key=value", "--set: wants key=value: there is no key",
                  "--set: roles: must be a list, each once, of gateway, processor, api"));
}

TEST(Loader, RefusesShapesThatAreNotSettings) {
  EXPECT_THAT(problems("- a\n"), ElementsAre("t.yaml:1: must be a mapping of settings"));
  EXPECT_THAT(problems("journal: 5\n"),
              ElementsAre("t.yaml:1: journal: must be a mapping of settings"));
  EXPECT_THAT(problems("journal: { sync: [none] }\n"),
              ElementsAre("t.yaml:1: journal.sync: must be one of always, none"));
  EXPECT_THAT(problems("data_dir: ~\n"), ElementsAre(HasSubstr("data_dir: must be text")));
  EXPECT_THAT(problems("roles: gateway\n"), ElementsAre(HasSubstr("roles: must be a list")));
  EXPECT_THAT(problems("a: 1\n---\nb: 2\n"), ElementsAre("must be one YAML document"));
  EXPECT_THAT(problems("data_dir: a\ndata_dir: b\n"),
              ElementsAre("t.yaml:2: data_dir: is set twice"));
}

TEST(Loader, NamesTheLineOfBrokenYaml) {
  EXPECT_THAT(problems("data_dir: a\njournal: { sync: always\nx\n"),
              ElementsAre(HasSubstr("is no YAML")));
  EXPECT_THAT(problems("data_dir: a\n\tlog: b\n"), ElementsAre(HasSubstr("t.yaml:2: is no YAML")));
  EXPECT_FALSE(problems(std::string(100'000, '[')).empty());
}

TEST(Loader, DoesNotRepeatWhatMayBeSecret) {
  for (const auto& line : problems("store: { url: \"hunter2\" }\n\"pass word\\n\": 1\n")) {
    EXPECT_THAT(line, Not(HasSubstr("hunter2")));
    EXPECT_THAT(line, Not(HasSubstr("pass word")));
  }
}

TEST(Loader, SaysWhyAFileCannotBeRead) {
  auto loaded = load({.file = "/nowhere/t.yaml"});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().at(0).text(),
            "/nowhere/t.yaml: cannot be read: No such file or directory");
  errno = ENOTTY;  // of something else, long ago
  auto directory = load({.file = "/"});
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().at(0).text(), "/: is a directory; --config wants a file");
}

TEST(Loader, TellsASectionFromASetting) {
  EXPECT_THAT(problems("", {"http=x"}),
              ElementsAre("--set: http: is a section: set one of its settings, such as "
                          "http.listen"));
  EXPECT_THAT(problems("", {"=x"}), ElementsAre("--set: wants key=value: there is no key"));
}

TEST(Loader, RefusesAFileThatIsTooLarge) {
  std::string path = testing::TempDir() + "loader_test." + std::to_string(::getpid());
  std::ofstream(path) << std::string((1 << 20) + 1, '#');
  auto loaded = load({.file = path});
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().at(0).text(), HasSubstr("larger than 1MiB"));
  std::filesystem::remove(path);
}

TEST(Check, RefusesToListenOpenlyUnlessThatIsMeant) {
  EXPECT_THAT(problems("http: { listen: \"0.0.0.0:8080\" }"),
              ElementsAre(HasSubstr("http.listen: 0.0.0.0:8080 is not a loopback address")));
  EXPECT_THAT(problems("admin: { listen: \"[::]:6060\" }"), ElementsAre(HasSubstr("admin.listen")));
  EXPECT_TRUE(problems("http: { listen: \"0.0.0.0:8080\" }\nallow_insecure: true").empty());
}

TEST(Check, RefusesOneAddressForTwoListeners) {
  EXPECT_THAT(problems("http: { listen: \"127.0.0.1:6060\" }"),
              ElementsAre("admin.listen: 127.0.0.1:6060 is taken by http.listen (127.0.0.1:6060): "
                          "give it another port"));
  EXPECT_THAT(problems("http: { listen: \"[::1]:1\" }\nadmin: { listen: \"[0:0::1]:1\" }"),
              ElementsAre(HasSubstr("is taken by http.listen")));
  EXPECT_THAT(problems("http: { listen: \"0.0.0.0:6060\" }\nallow_insecure: true"),
              ElementsAre(HasSubstr("is taken by http.listen")));
  EXPECT_TRUE(
      problems("http: { listen: \"127.0.0.1:0\" }\nadmin: { listen: \"127.0.0.1:0\" }").empty());
  EXPECT_TRUE(problems("http: { listen: \"127.0.0.2:6060\" }").empty());
  EXPECT_TRUE(problems("http: { listen: \"\" }\nadmin: { listen: \"\" }").empty());
}

TEST(Check, RefusesToLoseReportsUnlessThatIsMeant) {
  EXPECT_THAT(problems("journal: { sync: none }"), ElementsAre(HasSubstr("journal.sync: none")));
  EXPECT_TRUE(problems("journal: { sync: none }", {"allow_unsafe=true"}).empty());
}

TEST(Check, ComparesSizesWithEachOther) {
  EXPECT_THAT(problems("journal: { segment_bytes: 1050625B }\nlimits: { inflated_body: 64KiB, "
                       "body: 128KiB }\n"),
              ElementsAre(HasSubstr("multiple of 4KiB"), HasSubstr("twice journal.batch_bytes"),
                          HasSubstr("limits.inflated_body: must be at least limits.body")));
  EXPECT_THAT(problems("journal: { max_bytes: 256MiB }"),
              ElementsAre(HasSubstr("four times journal.segment_bytes (128MiB)")));
  EXPECT_THAT(problems("limits: { inflated_body: 128MiB }"),
              ElementsAre(HasSubstr("twice limits.inflated_body (128MiB)")));
  EXPECT_THAT(problems("limits: { unacknowledged_connection: 1GiB }"),
              ElementsAre(HasSubstr("limits.unacknowledged_total")));
  EXPECT_THAT(problems("pipeline: { batch_records: 20000 }"),
              ElementsAre(HasSubstr("pipeline.batch_records_lagging")));
}

TEST(Check, WantsRolesThatBelongTogether) {
  EXPECT_THAT(problems("roles: [gateway]"),
              ElementsAre(HasSubstr("kafka.brokers: must be set"),
                          HasSubstr("kafka.value: must be original")));
  EXPECT_THAT(
      problems("roles: [processor, api]"),
      ElementsAre(HasSubstr("kafka.brokers: must be set"), HasSubstr("store.url: is a file")));
  EXPECT_TRUE(problems("roles: [gateway]\nkafka: { brokers: [b:9092], value: original }").empty());
  const std::string processor = "roles: [processor]\nkafka: { brokers: [b:9092] }\n";
  EXPECT_THAT(problems(processor), ElementsAre(HasSubstr("store.url: is a file")));
  EXPECT_TRUE(problems(processor + "allow_unsafe: true").empty());
  EXPECT_TRUE(problems(processor + "store: { url: 'mysql://u:p@h/d' }").empty());
  EXPECT_TRUE(problems("roles: [api]").empty());
  EXPECT_TRUE(problems("roles: [processor, gateway]").empty());
}

TEST(Check, TakesUrlsOfKnownDatabasesAndRepeatsNone) {
  for (const char* good : {"sqlite:x.db", "postgres://u:secret@h/d", "mysql://u:s%40@[::1]:3306/d",
                           "postgres:///d?host=/run/postgresql"}) {
    EXPECT_THAT(problems(fmt::format("store: {{ url: \"{}\" }}", good)), testing::IsEmpty())
        << good;
  }
  for (const char* bad : {"sqlite:", "oracle://u:secret@h/d", "postgres://u:secret@h",
                          "mysql://u:secret@h:x/d", "mysql://u:secret@h/d/e", "mysql:secret",
                          "postgres://u:secret/x@h/d", "postgres://u:secret#@h/d"}) {
    auto found = problems(fmt::format("store: {{ url: \"{}\" }}", bad));
    ASSERT_EQ(found.size(), 1U) << bad;
    EXPECT_THAT(found[0], testing::StartsWith("store.url: must ")) << bad;
    EXPECT_THAT(found[0], testing::Not(testing::HasSubstr("secret")));
  }
}

TEST(Loader, ReadsSectionsWithinSectionsAndListsOfTexts) {
  auto settings = load_text(
      "kafka:\n  brokers: [\"b1:9092\", \"[::1]:9092\"]\n  topics: { vital_sign: vitals }\n"
      "  security: { protocol: ssl }\n",
      "t");
  ASSERT_TRUE(settings) << settings.error().at(0).text();
  EXPECT_THAT(settings->kafka.brokers, ElementsAre("b1:9092", "[::1]:9092"));
  EXPECT_EQ(settings->kafka.topics.vital_sign, "vitals");
  EXPECT_EQ(settings->kafka.security.protocol, "ssl");
  auto again = load_text(print_yaml(*settings), "t");
  ASSERT_TRUE(again) << again.error().at(0).text();
  EXPECT_EQ(again->kafka.brokers, settings->kafka.brokers);
  auto set = load_text("", "t", {"kafka.brokers=b1:9092,b2:9092"});
  ASSERT_TRUE(set);
  EXPECT_THAT(set->kafka.brokers, ElementsAre("b1:9092", "b2:9092"));
  EXPECT_THAT(problems("kafka: { topics: { vitals: x } }"),
              ElementsAre("t.yaml:1: kafka.topics.vitals: is no setting; the nearest is "
                          "kafka.topics.vital_sign"));
  EXPECT_FALSE(problems("kafka: { brokers: [a, a] }").empty());
}

TEST(Check, BrokersAndTopicsHaveNamesThatKafkaTakes) {
  for (const char* good : {"b", "b:9092", "\"[::1]:9092\"", "10.0.0.1:1"}) {
    EXPECT_TRUE(problems(fmt::format("kafka: {{ brokers: [{}] }}", good)).empty()) << good;
  }
  for (const char* bad : {"\"a:b:c\"", "\"a:0\"", "\"a:70000\"", "\":9092\"", "\"kafka://a:1\"",
                          "\"a:\"", "\"::1:9092\""}) {
    EXPECT_THAT(problems(fmt::format("kafka: {{ brokers: [{}] }}", bad)),
                ElementsAre(HasSubstr("is not HOST:PORT")))
        << bad;
  }
  EXPECT_TRUE(problems("kafka: { topics: { alert: Our.alerts_2-x } }").empty());
  EXPECT_THAT(problems("kafka: { topics: { epro_report: \"bad topic!\" } }"),
              ElementsAre(HasSubstr("kafka.topics.epro_report: must be 1 to 249 letters")));
  EXPECT_THAT(problems(fmt::format("kafka: {{ topic_prefix: {} }}", std::string(240, 'x'))),
              ElementsAre(HasSubstr("kafka.topic_prefix")));
}

TEST(Check, KafkaIsToldWholeOrNotAtAll) {
  EXPECT_THAT(
      problems("{ journal: { ack: kafka }, kafka: { brokers: [b], message_bytes: 15KiB } }"),
      ElementsAre(HasSubstr("kafka.message_bytes: must be at least 16KiB")));
  EXPECT_THAT(problems("journal: { ack: kafka }"), ElementsAre(HasSubstr("wants kafka.brokers")));
  EXPECT_THAT(
      problems("kafka: { security: { protocol: sasl_ssl } }"),
      ElementsAre(HasSubstr("kafka.security.username"), HasSubstr("kafka.security.password_file")));
  EXPECT_THAT(problems("kafka: { security: { password_file: /etc/secret } }"),
              ElementsAre(HasSubstr("is sasl_ssl meant?")));
  EXPECT_THAT(problems("kafka: { security: { protocol: ssl, cert: a } }"),
              ElementsAre(HasSubstr("belong together")));
}

TEST(Check, TokensWantKeysAndKeysWantTokens) {
  EXPECT_THAT(problems("auth: { mode: jwt }"), ElementsAre(HasSubstr("auth.jwt.secret_file or")));
  EXPECT_THAT(problems("auth: { jwt: { jwks: keys.json } }"),
              ElementsAre(HasSubstr("is jwt meant?")));
  EXPECT_TRUE(problems("auth: { mode: jwt, jwt: { jwks: keys.json } }").empty());
  EXPECT_TRUE(problems("auth: { mode: jwt, jwt: { secret_file: s, audience: a } }").empty());
  EXPECT_THAT(problems("auth: { mode: jwt, jwt: { jwks: k, previous_secret_file: p } }"),
              ElementsAre(HasSubstr("wants auth.jwt.secret_file beside it")));
  EXPECT_THAT(problems("auth: { mode: jwt, jwt: { jwks: k, algorithms: [none] } }"),
              ElementsAre(HasSubstr("HS256, RS256, ES256")));
  EXPECT_FALSE(problems("auth: { mode: jwt, jwt: { jwks: k, algorithms: [] } }").empty());
  EXPECT_FALSE(
      problems("auth: { mode: jwt, jwt: { jwks: k, claims: { subject: \"\" } } }").empty());
}

TEST(Check, KeysAreFetchedFromWhomOnlyTheyCanBe) {
  auto with = [](std::string_view url, std::string_view more = "") {
    return problems(
        fmt::format("auth: {{ mode: jwt, jwt: {{ jwks_url: \"{}\" }} }}\n{}", url, more));
  };
  for (const char* url : {"https://idp.example/keys", "http://127.0.0.1:8000/keys",
                          "http://localhost/", "http://[::1]:80/keys?a=b"}) {
    EXPECT_TRUE(with(url).empty()) << url;
  }
  EXPECT_THAT(with("http://idp.example/keys"), ElementsAre(HasSubstr("is not https")));
  EXPECT_TRUE(with("http://idp.example/keys", "allow_insecure: true").empty());
  EXPECT_THAT(with("https://me@idp.example/keys"), ElementsAre(HasSubstr("neither user nor")));
  EXPECT_THAT(with("file:///etc/passwd"), ElementsAre(HasSubstr("must begin with")));
  EXPECT_THAT(with("https:///keys"), ElementsAre(HasSubstr("names no host")));
}

TEST(Check, SpansAreSentToAUrl) {
  auto with = [](std::string_view url) {
    return problems(fmt::format("trace: {{ export: {{ url: \"{}\" }} }}", url));
  };
  EXPECT_TRUE(with("http://collector.example:4318/v1/traces").empty());
  EXPECT_THAT(with("ftp://collector.example/"), ElementsAre(HasSubstr("must begin with")));
  EXPECT_THAT(with("https:///v1/traces"), ElementsAre(HasSubstr("names no host")));
}

TEST(Check, EtcdIsToldOneAddressThatIsThere) {
  EXPECT_TRUE(problems("discovery: { etcd: [\"10.0.0.5:2379\", \"http://[::1]:2379\"] }").empty());
  EXPECT_TRUE(problems("discovery: { etcd: [\"https://a:1\", \"https://b:2\"] }").empty());
  for (const char* member : {"a", "http://a", "https://a:1/x", "ftp://a:1", "u@a:1", "a:1?b"}) {
    EXPECT_THAT(problems(fmt::format("discovery: {{ etcd: [\"{}\"] }}", member)),
                ElementsAre(HasSubstr("HOST:PORT each")))
        << member;
  }
  EXPECT_FALSE(problems("discovery: { etcd: [\"https://a:1\", \"b:2\"] }").empty());
  constexpr std::string_view any =
      "allow_insecure: true\nhttp: { listen: 0.0.0.0:1 }\ndiscovery: { etcd: [\"a:1\"]";
  EXPECT_THAT(problems(fmt::format("{} }}", any)),
              ElementsAre(HasSubstr("discovery.advertise: must be set")));
  EXPECT_TRUE(problems(fmt::format("{}, advertise: \"10.0.0.7:0\" }}", any)).empty());
  EXPECT_FALSE(problems(fmt::format("{}, advertise: \"0.0.0.0:0\" }}", any)).empty());
  EXPECT_FALSE(problems("http: { listen: \"\" }\ndiscovery: { etcd: [\"a:1\"] }").empty());
  EXPECT_THAT(problems("discovery: { keys: { trial: \"a/b\" } }"),
              ElementsAre(HasSubstr("discovery.keys.trial")));
  EXPECT_FALSE(problems("discovery: { username: u }").empty());
  EXPECT_FALSE(problems("discovery: { cert: c }").empty());
}

TEST(Check, ATokenDoesNotMakeTheAdminPortSafeBeyondLoopback) {
  EXPECT_THAT(problems("admin: { listen: 0.0.0.0:6060, token_file: t }"),
              ElementsAre(HasSubstr("there is no TLS: the token could be read")));
}

TEST(Check, TokensAloneAreNotEnoughBeyondLoopback) {
  EXPECT_THAT(
      problems("http: { listen: 0.0.0.0:8080 }\nauth: { mode: jwt, jwt: { jwks: keys.json } }"),
      ElementsAre(HasSubstr("there is no TLS")));
}

TEST(Check, TakesADirectoryOrNoArchive) {
  EXPECT_TRUE(problems("archive: { url: \"\" }").empty());
  EXPECT_TRUE(problems("archive: { url: \"file:/mnt/archive\" }").empty());
  EXPECT_THAT(problems("archive: { url: \"ftp://host/archive\" }"),
              ElementsAre("archive.url: must be file:PATH, or empty: no archive"));
  EXPECT_FALSE(problems("archive: { url: \"file:\" }").empty());
  EXPECT_THAT(problems("archive: { keep: 1s }"), ElementsAre(HasSubstr("archive.keep")));
  EXPECT_FALSE(problems("archive: { level: 20 }").empty());
}

TEST(Schema, HasEachPathOnceWithTypeHelpAndADefaultInRange) {
  std::set<std::string_view> paths;
  Settings defaults;
  for (const Descriptor& row : descriptors()) {
    EXPECT_TRUE(paths.insert(row.path).second) << row.path;
    EXPECT_TRUE(row.help.ends_with('.')) << row.path;
    EXPECT_FALSE(expected_form(row.constraint).empty());
    EXPECT_FALSE(section_help(section_of(row.path)).empty());
    if (row.constraint.kind == Kind::choice_list) continue;
    if (row.constraint.kind == Kind::text_list) continue;
    std::string text = format_value(row.constraint.kind, row.get(defaults));
    if (text.starts_with('"')) text = text.substr(1, text.size() - 2);
    EXPECT_TRUE(parse_value(row.constraint, text)) << row.path << " = " << text;
  }
}

TEST(Pages, PrintWhatLoadsToTheSame) {
  auto settings = load_text("", "t",
                            {"journal.max_bytes=3GiB", "data_dir=a \"b\" \\c", "runtime.drain=1.5s",
                             "roles=[processor, gateway]"});
  ASSERT_TRUE(settings);
  std::string printed = print_yaml(*settings);
  auto again = load_text(printed, "t");
  ASSERT_TRUE(again) << again.error().at(0).text() << "\n" << printed;
  EXPECT_EQ(print_yaml(*again), printed);
  EXPECT_EQ(again->data_dir, "a \"b\" \\c");
  EXPECT_EQ(again->runtime.drain, 1500ms);
}

TEST(Pages, MaskSecrets) {
  Settings settings;
  settings.store.url = "postgres://user:hunter2@host/db";
  EXPECT_THAT(print_yaml(settings), HasSubstr("url: \"postgres://user:***@host/db\""));
}

TEST(Pages, CommittedReferenceIsCurrent) {
  const char* source = std::getenv("TRIALWIRE_SOURCE");
  if (source == nullptr) GTEST_SKIP() << "TRIALWIRE_SOURCE is not set";
  std::ostringstream committed;
  committed << std::ifstream(std::string(source) + "/docs/settings.md").rdbuf();
  EXPECT_EQ(committed.str(), reference_markdown())
      << "run: trialwire config reference > docs/settings.md";
}

TEST(Loader, a_section_within_a_section_is_read_nested_or_dotted) {
  auto nested = load_text(
      "pipeline:\n  lanes: 2\n  sinks:\n    postgres: { lanes: 4, batch_delay: 1s }\n", "x.yaml");
  ASSERT_TRUE(nested) << nested.error()[0].text();
  EXPECT_EQ(nested->pipeline.lanes, 2U);
  EXPECT_EQ(nested->pipeline.postgres.lanes, 4U);
  EXPECT_EQ(nested->pipeline.postgres.batch_delay, std::chrono::seconds(1));
  auto dotted = load_text("pipeline: { sinks.kafka.priority: normal }\n", "x.yaml",
                          {"pipeline.sinks.postgres.lanes=3"});
  ASSERT_TRUE(dotted) << dotted.error()[0].text();
  EXPECT_EQ(dotted->pipeline.postgres.lanes, 3U);
  EXPECT_EQ(dotted->pipeline.kafka.priority, SinkPriority::normal);
}

TEST(Loader, an_unknown_sink_is_named_with_its_line) {
  auto loaded = load_text("pipeline:\n  sinks:\n    oracle: { lanes: 4 }\n", "x.yaml");
  ASSERT_FALSE(loaded);
  EXPECT_TRUE(loaded.error()[0].text().starts_with("x.yaml:3: pipeline.sinks.oracle"))
      << loaded.error()[0].text();
}

TEST(Loader, a_low_mark_over_the_high_one_is_refused) {
  auto loaded = load_text("journal: { undelivered_high: 50%, undelivered_low: 60% }\n", "x.yaml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error()[0].path, "journal.undelivered_low");
}

}  // namespace
}  // namespace trialwire::config
