#include "sandbox/device_table.h"

#include <gtest/gtest.h>

namespace lmsb::sandbox {
namespace {

DeviceTable sample() {
  DeviceTable table;
  TableDevice device{"example.org/card=one", "", {"A=b c"}, {}, {}, {}};
  device.nodes.push_back(table.place_of(TableNode{"card0", "/dev/null", false, 1, 3}));
  device.files.push_back(table.place_of(TableFile{"opt/lib", "/opt/lib"}));
  device.links.push_back(table.place_of(TableLink{"opt/link", "lib"}));
  table.devices = {device, {"example.org/card=two", "gone", {}, {}, {}, {}}};
  return table;
}

TEST(DeviceTable, IsReadAsItWasWritten) {
  const std::string text = format_table(sample());
  const auto read = parse_table(text);
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(format_table(*read), text);
  EXPECT_EQ(read->devices.at(0).environment, std::vector<std::string>{"A=b c"});
  EXPECT_EQ(read->nodes.at(0).minor, 3U);
}

TEST(DeviceTable, HoldsWhatIsEqualOnce) {
  DeviceTable table = sample();
  EXPECT_EQ(table.place_of(TableFile{"opt/lib", "/opt/lib"}), 0U);
  EXPECT_EQ(table.place_of(TableFile{"opt/lib", "/opt/other"}), 1U);
}

TEST(DeviceTable, RefusesWhatItWouldNotWrite) {
  for (const char* text :
       {"device\ta", "nonsense\n", "\n", "file\t/abs\t/x\n", "file\ta/../b\t/x\n", "file\ta\trelative\n",
        "node\tn\t/dev/n\tc\t1\t-1\n", "node\tn\t/dev/n\tx\t1\t1\n", "needs-node\t0\n", "device\ta\t\nneeds-node\t0\n",
        "device\ta\t\nenv\tA\n", "device\ta\t\nfile\ta\t/a\n", "file\ta\x01\t/x\n"})
    EXPECT_FALSE(parse_table(text).ok()) << text;
}

}  // namespace
}  // namespace lmsb::sandbox
