#include "cdi/spec.h"

#include <gtest/gtest.h>

namespace lmsb::cdi {
namespace {

std::string with_device(const std::string& edits) {
  return R"({"cdiVersion": "0.6.0", "kind": "example.org/card", "devices": [{"name": "one", "containerEdits": )" +
         edits + "}]}";
}

// The only device of a file that says `edits` of it.
Edits edits_of(const std::string& edits) {
  const auto spec = read_spec(with_device(edits));
  EXPECT_TRUE(spec.ok()) << spec.error().message();
  return spec.ok() ? spec->devices.at(0).edits : Edits();
}

std::string hook(const std::string& words) {
  return R"({"hooks": [{"hookName": "createContainer", "path": "/usr/bin/nvidia-ctk", "args": [)" + words + "]}]}";
}

TEST(CdiSpec, ReadsWhatADeviceNeedsFromYaml) {
  const auto spec = read_spec(
      "cdiVersion: 0.5.0\n"
      "kind: nvidia.com/gpu\n"
      "devices:\n"
      "- name: \"0\"\n"
      "  containerEdits:\n"
      "    deviceNodes:\n"
      "    - path: /dev/nvidia0\n"
      "      hostPath: /dev/card\n"
      "      major: 195\n"
      "      minor: 7\n"
      "containerEdits:\n"
      "  env: [NVIDIA_VISIBLE_DEVICES=void]\n"
      "  mounts:\n"
      "  - {hostPath: /lib/a.so, containerPath: /usr/lib/a.so, options: [ro, bind]}\n");
  ASSERT_TRUE(spec.ok()) << spec.error().message();
  EXPECT_EQ(spec->kind, "nvidia.com/gpu");
  EXPECT_EQ(spec->edits.environment, std::vector<std::string>{"NVIDIA_VISIBLE_DEVICES=void"});
  EXPECT_EQ(spec->edits.mounts.at(0).path, "/usr/lib/a.so");
  const DeviceNode& node = spec->devices.at(0).edits.nodes.at(0);
  EXPECT_EQ(node.host_path, "/dev/card");
  EXPECT_EQ(node.number.value().minor, 7U);
}

TEST(CdiSpec, KnowsTheHooksOfVendorsToolsInEachOfTheirForms) {
  for (const char* words : {R"("nvidia-ctk", "hook", "create-symlinks", "--link", "liba.so.1::/usr/lib/liba.so")",
                            R"("nvidia-ctk", "hook", "create-symlinks", "--link=liba.so.1::/usr/lib/liba.so")"}) {
    const Edits edits = edits_of(hook(words));
    EXPECT_EQ(edits.fault, "");
    ASSERT_EQ(edits.links.size(), 1U);
    EXPECT_EQ(edits.links[0].path, "/usr/lib/liba.so");
    EXPECT_EQ(edits.links[0].target, "liba.so.1");
  }
  EXPECT_EQ(edits_of(hook(R"("nvidia-ctk", "hook", "update-ldcache", "--folder", "/usr/lib64")")).library_directories,
            std::vector<std::string>{"/usr/lib64"});
  EXPECT_EQ(edits_of(hook(R"("nvidia-ctk", "hook", "chmod", "--mode", "755", "--path", "/dev/dri")")).fault, "");
  EXPECT_EQ(edits_of(R"({"hooks": [{"hookName": "createContainer", "path": "/opt/bin/nvidia-cdi-hook",
                        "args": ["nvidia-cdi-hook", "enable-cuda-compat"]}]})")
                .fault,
            "");
}

TEST(CdiSpec, MakesADeviceWithAnUnknownHookUnusableAndNoOther) {
  for (const std::string& edits :
       {hook(R"("nvidia-ctk", "hook", "burn")"), hook(R"("nvidia-ctk", "runtime", "configure")"),
        hook(R"("nvidia-ctk", "hook", "update-ldcache", "--run", "/x")"),
        std::string(R"({"hooks": [{"hookName": "createContainer", "path": "/bin/sh", "args": ["sh", "-c", "id"]}]})"),
        std::string(R"({"hooks": [{"hookName": "poststop", "path": "/bin/nvidia-ctk",
                                   "args": ["nvidia-ctk", "hook", "chmod"]}]})")})
    EXPECT_NE(edits_of(edits).fault.find("not one that is known"), std::string::npos) << edits;
}

TEST(CdiSpec, MakesADeviceUnusableThatNeedsWhatNoSandboxCanHave) {
  EXPECT_NE(edits_of(R"({"intelRdt": {"closID": "x"}})").fault, "");
  EXPECT_NE(edits_of(R"({"netDevices": [{"hostInterfaceName": "eth0"}]})").fault, "");
  EXPECT_NE(edits_of(R"({"somethingNew": 1})").fault, "");
  EXPECT_EQ(edits_of(R"({"additionalGids": [44]})").fault, "");
}

TEST(CdiSpec, RefusesPathsThatLeadElsewhere) {
  for (const char* path : {"relative", "/dev/../etc/shadow", "/dev//x", "/dev/./x", "/dev/x/", "/etc/shadow", "/",
                           "/dev/a\\tb", "/dev/a\\u0001"})
    EXPECT_NE(edits_of(std::string(R"({"deviceNodes": [{"path": ")") + path + R"("}]})").fault, "") << path;
  EXPECT_NE(edits_of(R"({"mounts": [{"hostPath": "/a", "containerPath": "../b"}]})").fault, "");
  EXPECT_NE(edits_of(hook(R"("nvidia-ctk", "hook", "create-symlinks", "--link", "x::usr/lib/y")")).fault, "");
  EXPECT_NE(edits_of(R"({"env": ["no value"]})").fault, "");
  EXPECT_NE(edits_of(R"({"env": ["A=b\nC=d"]})").fault, "");
}

TEST(CdiSpec, RefusesAFileThatIsNotWellFormed) {
  const std::string deep(100, '[');
  for (const std::string& text :
       {std::string("kind: a.b/c"), std::string("cdiVersion: 9.9.9\nkind: a.b/c"),
        std::string("cdiVersion: 0.6.0\nkind: nonsense"), std::string("- a\n- b"),
        std::string("cdiVersion: 0.6.0\ncdiVersion: 0.6.0\nkind: a.b/c"),
        std::string("cdiVersion: 0.6.0\nkind: a.b/c\nextra: 1"), std::string("{"),
        std::string("cdiVersion: 0.6.0\nkind: a.b/c\n---\nx: y"), std::string(), std::string("\xff\xfe"),
        std::string("cdiVersion: 0.6.0\nkind: a.b/c\ndevices: ") + deep})
    EXPECT_FALSE(read_spec(text).ok()) << text;
}

TEST(CdiSpec, FollowsNoAnchorsSoThatASmallFileStaysSmall) {
  std::string text = "cdiVersion: 0.6.0\nkind: a.b/c\nannotations: {a0: &a0 x";
  for (int i = 1; i < 30; ++i) {
    const std::string before = std::to_string(i - 1);
    text += ", a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + before + ", *a" + before + "]";
  }
  const auto spec = read_spec(text + "}\n");
  ASSERT_FALSE(spec.ok());
  EXPECT_NE(spec.error().message().find("anchors"), std::string::npos) << spec.error().message();
}

TEST(CdiSpec, RefusesADeviceThatIsThereTwice) {
  EXPECT_FALSE(read_spec("cdiVersion: 0.6.0\nkind: a.b/c\ndevices: [{name: x}, {name: x}]").ok());
}

}  // namespace
}  // namespace lmsb::cdi
