#include "cdi/find.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gtest/gtest.h>

namespace lmsb::cdi {
namespace {

namespace fs = std::filesystem;

class FindDevices : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "lmsb-cdi-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    for (const char* part : {"low", "high"}) fs::create_directory(root_ / part);
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& name, const std::string& edits, const std::string& device = "one") {
    std::ofstream(root_ / name) << R"({"cdiVersion": "0.6.0", "kind": "example.org/card", "devices": [{"name": ")"
                                << device << R"(", "containerEdits": )" << edits << "}]}";
    ::chmod((root_ / name).c_str(), 0644);
  }
  sandbox::DeviceTable find() const { return find_devices({(root_ / "low").string(), (root_ / "high").string()}); }

  fs::path root_;
};

constexpr const char* kNull = R"({"deviceNodes": [{"path": "/dev/card0", "hostPath": "/dev/null"}]})";
constexpr const char* kZero = R"({"deviceNodes": [{"path": "/dev/card0", "hostPath": "/dev/zero"}]})";

TEST_F(FindDevices, LooksUpTheNumbersOfADevice) {
  write("low/a.json", kNull);
  const sandbox::DeviceTable found = find();
  ASSERT_EQ(found.devices.size(), 1U);
  EXPECT_EQ(found.devices[0].name, "example.org/card=one");
  EXPECT_EQ(found.devices[0].fault, "");
  EXPECT_EQ(found.nodes.at(0), (sandbox::TableNode{"card0", "/dev/null", false, 1, 3}));
  EXPECT_TRUE(found.faults.empty());
}

TEST_F(FindDevices, TakesTheLaterDirectoryAndNeitherOfTwoInOne) {
  write("low/a.json", kNull);
  write("high/a.json", kZero);
  EXPECT_EQ(find().nodes.at(find().devices.at(0).nodes.at(0)).minor, 5U);
  write("high/b.json", kNull);
  EXPECT_NE(find().devices.at(0).fault.find("both"), std::string::npos);
}

TEST_F(FindDevices, BelievesNoFileThatOthersCanWrite) {
  write("low/a.json", kNull);
  ::chmod((root_ / "low/a.json").c_str(), 0666);
  fs::create_symlink(root_ / "low/a.json", root_ / "low/b.json");
  fs::create_directory(root_ / "low/c.json");
  ::mkfifo((root_ / "low/d.json").c_str(), 0600);
  std::ofstream(root_ / "low/e.json") << std::string(3U << 20U, ' ');
  const sandbox::DeviceTable found = find();
  EXPECT_TRUE(found.devices.empty());
  EXPECT_EQ(found.faults.size(), 5U);
  EXPECT_NE(found.faults.at(0).find("can be written by others"), std::string::npos) << found.faults.at(0);
}

TEST_F(FindDevices, SaysWhyADeviceCannotBeUsed) {
  write("low/a.json", R"({"deviceNodes": [{"path": "/dev/card0", "hostPath": "/dev/not-there"}]})", "gone");
  write("low/b.json", R"({"deviceNodes": [{"path": "/dev/null"}]})", "ours");
  write("low/c.json", R"({"deviceNodes": [{"path": "/dev/card0", "hostPath": "/dev/null", "major": 1, "minor": 9}]})",
        "other");
  write("low/d.json", R"({"deviceNodes": [{"path": "/dev/card0", "hostPath": "/etc/passwd"}]})", "file");
  write("low/e.json", R"({"mounts": [{"hostPath": "/etc/passwd", "containerPath": "/dev/x"}]})", "way");
  write("low/f.json", R"({"mounts": [{"hostPath": "/proc/self/environ", "containerPath": "/x"}]})", "proc");
  const sandbox::DeviceTable found = find();
  ASSERT_EQ(found.devices.size(), 6U);
  for (const sandbox::TableDevice& device : found.devices) {
    EXPECT_NE(device.fault, "") << device.name;
    EXPECT_TRUE(device.nodes.empty() && device.files.empty()) << device.name;
  }
}

TEST_F(FindDevices, ShowsFilesAndNoSockets) {
  std::ofstream(root_ / "lib") << "x";
  ::mkfifo((root_ / "pipe").c_str(), 0600);
  const std::string root = root_.string();
  write("low/a.json", R"({"mounts": [{"hostPath": ")" + root + R"(/lib", "containerPath": "/opt/lib"},
                                     {"hostPath": ")" +
                          root + R"(/pipe", "containerPath": "/opt/pipe"}]})");
  const sandbox::DeviceTable found = find();
  EXPECT_EQ(found.devices.at(0).fault, "");
  ASSERT_EQ(found.files.size(), 1U);
  EXPECT_EQ(found.files[0].path, "opt/lib");
}

TEST_F(FindDevices, MakesTheLinksThatTheLoaderLooksFor) {
  fs::path library;
  for (const auto& entry : fs::directory_iterator("/usr/lib/x86_64-linux-gnu"))
    if (entry.path().filename().string().starts_with("libstdc++.so.6.") && !entry.is_symlink()) library = entry.path();
  if (library.empty()) GTEST_SKIP() << "no libstdc++.so.6.*";
  write("low/a.json",
        R"({"mounts": [{"hostPath": ")" + library.string() + R"(", "containerPath": "/opt/l/libs.so.6.1"}],
    "hooks": [{"hookName": "createContainer", "path": "/x/nvidia-cdi-hook",
               "args": ["nvidia-cdi-hook", "update-ldcache", "--folder", "/opt/l"]}]})");
  const sandbox::DeviceTable found = find();
  EXPECT_EQ(found.devices.at(0).fault, "");
  ASSERT_EQ(found.links.size(), 1U);
  EXPECT_EQ(found.links[0], (sandbox::TableLink{"opt/l/libstdc++.so.6", "libs.so.6.1"}));
  EXPECT_EQ(found.devices.at(0).environment, std::vector<std::string>{"LD_LIBRARY_PATH=/opt/l"});
}

}  // namespace
}  // namespace lmsb::cdi
