// SPDX-License-Identifier: Apache-2.0
#include "runtime/service_group.hpp"

#include <stdexcept>

#include <gmock/gmock.h>

namespace trialwire::runtime {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ServiceGroupTest : public testing::Test {
 protected:
  std::vector<std::string> events_;

  Service service(const std::string& name) {
    return {name,
            [this, name]() -> Result<void> {
              events_.push_back("+" + name);
              return {};
            },
            [this, name] { events_.push_back("-" + name); }};
  }
};

TEST_F(ServiceGroupTest, StopsInReverseOrderOfStarting) {
  ServiceGroup group;
  group.add(service("a"));
  group.add({"nothing", {}, {}});
  group.add(service("b"));
  ASSERT_TRUE(group.start());
  group.stop();
  group.stop();
  EXPECT_THAT(events_, ElementsAre("+a", "+b", "-b", "-a"));
}

TEST_F(ServiceGroupTest, StopsWhatWasStartedWhenOneFails) {
  ServiceGroup group;
  group.add(service("a"));
  group.add({"bad", [] { return fail(ErrorCode::io, "no"); }, [this] { events_.push_back("?"); }});
  group.add(service("c"));
  auto started = group.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().text, "no");
  EXPECT_THAT(events_, ElementsAre("+a", "-a"));
}

TEST_F(ServiceGroupTest, TakesAnExceptionAsAFailure) {
  ServiceGroup group;
  group.add({"bad", []() -> Result<void> { throw std::runtime_error("thrown"); }, {}});
  auto started = group.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().text, "bad: thrown");
}

TEST_F(ServiceGroupTest, StopsTheOthersWhenOneThrowsWhileStopping) {
  {
    ServiceGroup group;
    group.add(service("a"));
    group.add({"bad", {}, [] { throw std::runtime_error("thrown"); }});
    ASSERT_TRUE(group.start());
  }
  EXPECT_THAT(events_, ElementsAre("+a", "-a"));
}

TEST_F(ServiceGroupTest, DoesNothingUnlessStarted) {
  {
    ServiceGroup group;
    group.add(service("a"));
  }
  EXPECT_THAT(events_, IsEmpty());
}

}  // namespace
}  // namespace trialwire::runtime
