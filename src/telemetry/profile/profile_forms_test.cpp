// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/profile_forms.hpp"

#include <cstring>

#include <gmock/gmock.h>

#include "telemetry/profile/flame_graph.hpp"

namespace trialwire::telemetry {

[[gnu::noinline]] int known_function(int x) {
  return x * 3 + 1;
}

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::uintptr_t known_address() {
  return reinterpret_cast<std::uintptr_t>(&known_function);
}

Profile cpu_profile() {
  Profile profile{.kind = ProfileKind::cpu, .duration_ns = 1'000'000'000, .period = 10'000'000};
  profile.samples.push_back({.frames = {known_address(), known_address() + 2},
                             .thread = "shard-0",
                             .count = 3,
                             .amount = 30'000'000});
  profile.samples.push_back({.frames = {}, .thread = "deaf", .count = 1, .amount = 10'000'000});
  return profile;
}

TEST(SymbolsTest, NamesFunctionsAndWhatIsNone) {
  Symbols symbols;
  EXPECT_EQ(symbols.name(known_address()), "trialwire::telemetry::known_function(int)");
  EXPECT_EQ(symbols.name(16), "0x10");
  EXPECT_EQ(symbols.group(known_address()), symbols.name(known_address()));
  const Mapping& library = symbols.mappings().back();
  EXPECT_EQ(symbols.group(library.begin).find("+0x"), std::string_view::npos);
  ASSERT_FALSE(symbols.mappings().empty());
  EXPECT_TRUE(symbols.mapping_of(known_address()) == 0U);
  EXPECT_THAT(symbols.maps(), HasSubstr("[stack]"));
}

TEST(ProfileForms, OfGperftoolsAreWordsAndTheMemoryMap) {
  Symbols symbols;
  const std::string text = profile_gperftools(cpu_profile(), symbols);
  std::array<std::uint64_t, 12> words{};
  ASSERT_GT(text.size(), sizeof words);
  std::memcpy(words.data(), text.data(), sizeof words);
  EXPECT_THAT(words,
              ElementsAre(0, 3, 0, 10'000, 0, 3, 2, known_address(), known_address() + 2, 0, 1, 0));
  EXPECT_EQ(text.substr(sizeof words), symbols.maps());
}

TEST(ProfileForms, OfGperftoolsForTheHeapAreText) {
  Symbols symbols;
  Profile profile{.kind = ProfileKind::heap, .period = 524'288};
  profile.samples.push_back({.frames = {0x1234},
                             .thread = {},
                             .count = 2,
                             .amount = 2'000,
                             .count_total = 5,
                             .amount_total = 5'000});
  EXPECT_THAT(profile_gperftools(profile, symbols),
              StartsWith("heap profile: 2: 2000 [5: 5000] @ heap_v2/524288\n"
                         "2: 2000 [5: 5000] @ 0x1234\n\nMAPPED_LIBRARIES:\n"));
}

TEST(ProfileForms, OfPprofNameFunctionsAndThreads) {
  Symbols symbols;
  const std::string text = profile_proto(cpu_profile(), symbols);
  for (const std::string_view part : {"trialwire::telemetry::known_function(int)", "shard-0",
                                      "[deaf: takes no signals]", "nanoseconds"}) {
    EXPECT_THAT(text, HasSubstr(std::string(part)));
  }
  // Its first sample: locations 1 and 2, values 3 and 30,000,000.
  EXPECT_THAT(text, HasSubstr(std::string("\x0a\x02\x01\x02\x12\x05\x03\x80\x87\xa7\x0e", 11)));
}

TEST(FlameGraph, DrawsCalleesOnTheirCallersAndEscapesAllText) {
  const std::string svg =
      flame_graph_svg({{{"main", "a<b>&\"c\"</title>"}, 30}, {{"main", "other\x01\xff"}, 10}},
                      {.title = "<script>", .subtitle = "]]>"});
  EXPECT_THAT(svg, StartsWith("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns="));
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;</text>"));
  EXPECT_THAT(svg,
              HasSubstr("<title>a&lt;b&gt;&amp;&quot;c&quot;&lt;/title&gt; (30 samples, 75.00%)"));
  EXPECT_THAT(svg, HasSubstr("<title>other?? (10 samples, 25.00%)</title>"));
  EXPECT_THAT(svg, HasSubstr("data-x=\"10.000\" data-w=\"1180.000\" data-l=\"1\"><title>main"));
  EXPECT_THAT(svg, HasSubstr("data-x=\"10.000\" data-w=\"885.000\" data-l=\"2\""));
  EXPECT_THAT(svg, HasSubstr("data-x=\"895.000\" data-w=\"295.000\" data-l=\"2\""));
  EXPECT_THAT(svg, Not(HasSubstr("http://www.w3.org/1999/xlink")));
}

TEST(FlameGraph, LeavesOutWhatIsTooNarrowToSeeAndWhatIsTooMuch) {
  const std::vector<NamedStack> stacks{{{"wide"}, 100'000}, {{"narrow"}, 1}};
  EXPECT_THAT(flame_graph_svg(stacks, {}), Not(HasSubstr("narrow")));
  std::vector<NamedStack> many;
  for (int i = 0; i < 100; ++i) many.push_back({{"f" + std::to_string(i)}, 10});
  const std::string svg = flame_graph_svg(many, {.boxes_max = 10});
  std::size_t boxes = 0;
  for (std::size_t at = 0; (at = svg.find("<rect x=", at)) != std::string::npos; ++at) ++boxes;
  EXPECT_EQ(boxes, 10U);
}

TEST(FlameGraph, OfNothingIsAPictureToo) {
  EXPECT_THAT(flame_graph_svg({}, {}), HasSubstr("<title>all (0 samples, 0.00%)</title>"));
}

}  // namespace
}  // namespace trialwire::telemetry
