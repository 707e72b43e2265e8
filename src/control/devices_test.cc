#include "control/devices.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

sandbox::DeviceTable table() {
  sandbox::DeviceTable made;
  made.devices = {{"nvidia.com/gpu=0", "", {"A=1", "B=x=y"}, {}, {}, {}},
                  {"nvidia.com/gpu=1", "", {"A=2"}, {}, {}, {}},
                  {"nvidia.com/gpu=2", "no such file", {}, {}, {}, {}}};
  return made;
}

Principal somebody() {
  Principal who;
  who.name = "somebody";
  who.admin = false;
  return who;
}

Principal administrator() {
  Principal who = somebody();
  who.admin = true;
  return who;
}

std::string refusal(const PolicyCaps& caps, const Principal& who, const std::vector<std::string>& names) {
  const auto found = find_devices(table(), caps, who, names);
  return found.ok() ? "" : std::string(found.error().slug());
}

TEST(Devices, AreForAdministratorsUnlessTheOperatorListsThem) {
  PolicyCaps caps;
  EXPECT_EQ(refusal(caps, administrator(), {"nvidia.com/gpu=0"}), "");
  EXPECT_EQ(refusal(caps, somebody(), {"nvidia.com/gpu=0"}), "device_denied");
  EXPECT_EQ(refusal(caps, somebody(), {"nothing"}), "device_denied") << "nor who asks which there are";
  caps.devices = {"nvidia.com/gpu=0"};
  EXPECT_EQ(refusal(caps, somebody(), {"nvidia.com/gpu=0"}), "");
  EXPECT_EQ(refusal(caps, somebody(), {"nvidia.com/gpu=0", "nvidia.com/gpu=1"}), "device_denied");
  caps.devices = {"nvidia.com/gpu"};
  EXPECT_EQ(refusal(caps, somebody(), {"nvidia.com/gpu=1"}), "");
  EXPECT_EQ(refusal(caps, somebody(), {"nvidia.com/gpus=1"}), "device_denied");
}

TEST(Devices, AreRefusedWithWhatIsWrong) {
  EXPECT_EQ(refusal({}, administrator(), {"nvidia.com/gpu=9"}), "device_not_found");
  EXPECT_EQ(refusal({}, administrator(), {"nvidia.com/gpu=2"}), "device_not_usable");
}

TEST(Devices, HaveTheirPlacesOnceAndTheLastVariableCounts) {
  const auto found =
      find_devices(table(), {}, administrator(), {"nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=0"});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, (std::vector<std::uint32_t>{0, 1}));
  std::map<std::string, std::string> variables;
  add_device_variables(table(), *found, variables);
  EXPECT_EQ(variables, (std::map<std::string, std::string>{{"A", "2"}, {"B", "x=y"}}));
}

}  // namespace
}  // namespace lmsb::control
