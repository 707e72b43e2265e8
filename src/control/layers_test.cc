#include "control/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

using guest_protocol::PacketTimes;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(Layers, ThatAreAllInForceLeaveNothingMissing) {
  const Layers all{7, true, true, true, PacketTimes::forbidden, true};
  EXPECT_THAT(layers_in_force(all), Contains("landlock:7"));
  for (const char* name : {"device_list", "own_nodes", "socket_limit", "packet_times", "netlink_door"})
    EXPECT_THAT(layers_in_force(all), Contains(name));
  EXPECT_THAT(layers_missing(all), IsEmpty());
}

TEST(Layers, ThatTheKernelHasNotAreMissingAndNotInForce) {
  EXPECT_THAT(layers_in_force({0, true, true, true}), Not(Contains(HasSubstr("landlock"))));
  EXPECT_THAT(layers_missing({0, true, true, true}), testing::ElementsAre(HasSubstr("Landlock")));
  EXPECT_THAT(layers_in_force({7, false, true, true}), Not(Contains("device_list")));
  EXPECT_THAT(layers_missing({7, false, true, true}), testing::ElementsAre(HasSubstr("list of devices")));
  EXPECT_THAT(layers_in_force({7, true, false, true}), Not(Contains("own_nodes")));
  EXPECT_THAT(layers_missing({7, true, false, true}), testing::ElementsAre(HasSubstr("nodes")));
  EXPECT_THAT(layers_in_force({7, true, true, false}), Not(Contains("socket_limit")));
  EXPECT_THAT(layers_missing({7, true, true, false}), testing::ElementsAre(HasSubstr("sockets")));
  EXPECT_THAT(layers_in_force({7, true, true, true, PacketTimes::refused}), Not(Contains("packet_times")));
  EXPECT_THAT(layers_missing({7, true, true, true, PacketTimes::refused}), testing::ElementsAre(HasSubstr("packets")));
}

TEST(Layers, ThatAUserWithoutRootHasNotAreMissingByName) {
  Layers layers{7, true, true, true};
  layers.has_memory_limit = layers.has_cpu_limit = layers.has_process_limit = layers.has_own_ids = false;
  EXPECT_THAT(layers_in_force(layers), Not(Contains("cgroup_limits")));
  EXPECT_THAT(layers_in_force(layers), Not(Contains("own_ids")));
  EXPECT_THAT(layers_in_force({7, true, true, true}), Contains("own_ids"));
  EXPECT_THAT(layers_missing(layers), testing::ElementsAre(HasSubstr("memory"), HasSubstr("CPU"),
                                                           HasSubstr("processes"), HasSubstr("range of ids")));
  layers.has_memory_limit = layers.has_process_limit = true;
  EXPECT_THAT(layers_in_force(layers), Not(Contains("cgroup_limits")));
}

TEST(Layers, ThatNoOlderKernelHasAreNotMissed) {
  EXPECT_THAT(layers_in_force({7, true, true, true}), Not(Contains("packet_times")));
  EXPECT_THAT(layers_missing({7, true, true, true}), IsEmpty());
}

}  // namespace
}  // namespace lmsb::control
