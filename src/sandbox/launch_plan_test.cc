#include "sandbox/launch_plan.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::sandbox {
namespace {

SandboxSpec example(const std::string& image) {
  SandboxSpec spec;
  spec.id = *SandboxId::parse("abcdefghijklmnopqrst");
  spec.image = image;
  return spec;
}

// Compares with tests/golden/<name>.txt; LMSB_TEST_ACCEPT=1 records it anew.
void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(LMSB_SOURCE_DIR) + "/tests/golden/" + name + ".txt";
  if (std::getenv("LMSB_TEST_ACCEPT") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  const std::string golden{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_EQ(text, golden) << "LMSB_TEST_ACCEPT=1 records the new plan in " << path;
}

TEST(LaunchPlan, OfImageHostIsTheGoldenOne) { expect_golden("launch_plan_host", to_text(*plan(example("host")))); }

TEST(LaunchPlan, OfAStoredImageWithAMountIsTheGoldenOne) {
  auto spec = example("base");
  spec.lifetime = Lifetime::kept;
  spec.mounts.push_back({"/data", true, {}, ""});
  expect_golden("launch_plan_image", to_text(*plan(spec)));
}

TEST(LaunchPlan, OfRootIsTheGoldenOne) {
  auto spec = example("base");
  spec.profile = guest_protocol::Profile::root;
  expect_golden("launch_plan_root", to_text(*plan(spec)));
}

TEST(LaunchPlan, LetsNobodyMakeSetIdFilesButRootWhereNoDirectoryOfTheMachineIs) {
  auto spec = example("base");
  EXPECT_EQ(set_id_files(*plan(spec)), SetIdFiles::refused);
  spec.profile = guest_protocol::Profile::root;
  EXPECT_EQ(set_id_files(*plan(spec)), SetIdFiles::allowed);
  spec.mounts.push_back({"/data", true, {}, "vol_aaaaaaaaaaaaaaaaaaaa"});
  EXPECT_EQ(set_id_files(*plan(spec)), SetIdFiles::allowed) << "a volume's are inside as well";
  spec.mounts.push_back({"/dir", true, {}, ""});
  EXPECT_EQ(set_id_files(*plan(spec)), SetIdFiles::refused);
}

TEST(LaunchPlan, OfAKeptSandboxOnItsDiskSaysWhatThatMayHold) {
  SandboxSpec spec = example("base");
  spec.lifetime = Lifetime::kept;
  spec.disk = guest_protocol::Disk::fresh;
  EXPECT_THAT(to_text(*plan(spec)), testing::HasSubstr("root on a disk of its own, at most " +
                                                       std::to_string(spec.limits.disk.count()) + " bytes"));
  spec.lifetime = Lifetime::one_shot;
  EXPECT_FALSE(plan(spec).ok());
}

TEST(LaunchPlan, GivesTheWritableLayerAtMostHalfOfTheMemory) {
  auto spec = example("host");
  spec.limits.memory = Bytes::MiB(100);
  EXPECT_EQ(plan(spec)->root_bytes, Bytes::MiB(50).count());
  spec.limits.disk = Bytes::MiB(10);
  EXPECT_EQ(plan(spec)->root_bytes, Bytes::MiB(10).count());
}

TEST(LaunchPlan, GivesSharedMemoryTheSizeThatWasAskedFor) {
  auto spec = example("host");
  EXPECT_THAT(to_text(*plan(spec)), testing::HasSubstr("mount /dev/shm tmpfs size=67108864 "));
  spec.limits.shm = Bytes::MiB(256);
  EXPECT_THAT(to_text(*plan(spec)), testing::HasSubstr("mount /dev/shm tmpfs size=268435456 "));
}

TEST(LaunchPlan, RefusesLimitsOutOfBounds) {
  for (const auto& change :
       std::vector<void (*)(Limits&)>{[](Limits& l) { l.memory = Bytes(1); }, [](Limits& l) { l.cpu_millis = 0; },
                                      [](Limits& l) { l.processes = 1; }, [](Limits& l) { l.disk = Bytes(1); },
                                      [](Limits& l) { l.memory = Bytes(~0ULL); }, [](Limits& l) { l.shm = Bytes(0); },
                                      [](Limits& l) { l.shm = Bytes(~0ULL); }}) {
    auto spec = example("host");
    change(spec.limits);
    EXPECT_FALSE(plan(spec).ok());
  }
}

TEST(LaunchPlan, RefusesMountsOverWhatTheSandboxStandsOn) {
  for (const char* target : {"/", "", "relative", "/../x", "/proc", "/proc/1", "/dev/shm", "/usr/bin", "/etc/passwd",
                             "/run", "/run/lm-sandbox/x", "/a/./b", "/a\nb"}) {
    auto spec = example("host");
    spec.mounts.push_back({target, false, {}, ""});
    EXPECT_FALSE(plan(spec).ok()) << target;
  }
}

TEST(LaunchPlan, MountsVolumesByTheirIds) {
  auto spec = example("base");
  spec.mounts.push_back({"/data", true, {}, "vol_aaaaaaaaaaaaaaaaaaaa"});
  const auto planned = plan(spec);
  ASSERT_TRUE(planned.ok());
  EXPECT_FALSE(has_directories(*planned));
  EXPECT_THAT(to_text(*planned),
              testing::HasSubstr("mount /data read-only,nosuid,nodev (volume vol_aaaaaaaaaaaaaaaaaaaa, ids mapped)"));
  spec.mounts.push_back({"/dir", false, {}, ""});
  EXPECT_TRUE(has_directories(*plan(spec)));
  for (const char* volume : {"vol_", "../../etc", "aaaaaaaaaaaaaaaaaaaa", "snp_aaaaaaaaaaaaaaaaaaaa",
                             "vol_aaaaaaaaaaaaaaaaaaaa/x", "vol_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    spec.mounts.back().volume = volume;
    EXPECT_FALSE(plan(spec).ok()) << volume;
  }
}

TEST(LaunchPlan, RefusesTwoMountsInOnePlace) {
  auto spec = example("base");
  spec.mounts.push_back({"/data", true, {}, ""});
  spec.mounts.push_back({"/data/", false, {}, "vol_aaaaaaaaaaaaaaaaaaaa"});
  ASSERT_FALSE(plan(spec).ok());
  EXPECT_EQ(plan(spec).error().slug(), "invalid_mount_target");
}

TEST(LaunchPlan, RefusesMountsWithinVolumesAndTheOtherWayRound) {
  for (const auto& [outer, inner] : {std::pair("/data", "/data/in"), std::pair("/data/in", "/data")}) {
    auto spec = example("base");
    spec.mounts.push_back({outer, false, {}, "vol_aaaaaaaaaaaaaaaaaaaa"});
    spec.mounts.push_back({inner, false, {}, ""});
    EXPECT_FALSE(plan(spec).ok()) << inner;
    spec.mounts[0].volume = "";
    EXPECT_TRUE(plan(spec).ok()) << "directories may";
    spec.mounts[0].volume = "vol_aaaaaaaaaaaaaaaaaaaa";
    spec.mounts[1].target = "/data2";
    spec.mounts[0].target = "/data";
    EXPECT_TRUE(plan(spec).ok()) << "beside it";
  }
}

TEST(LaunchPlan, IsRefusedWhenItWasTamperedWith) {
  const LaunchPlan good = *plan(example("base"));
  ASSERT_TRUE(validate(good).ok());
  const auto is_refused = [&](const auto& change) {
    LaunchPlan bad = good;
    change(bad);
    return !validate(bad).ok();
  };
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { p.version = 8; }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { p.profile = static_cast<guest_protocol::Profile>(9); }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { p.id.fill('a'); }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { std::strcpy(p.id.data(), "../../../../etc/cgrou"); }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { std::strcpy(p.image.data(), "../../etc"); }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { std::strcpy(p.image.data(), "a/b"); }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { p.image.fill('x'); }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { std::strcpy(p.image.data(), "base\nprofile root"); }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { std::strcpy(p.image.data(), ".hidden"); }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { p.mount_count = 1, std::strcpy(p.mounts[0].target.data(), "a\x1b[2J"); }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { p.mount_count = 99; }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) {
    p.mount_count = 2, std::strcpy(p.mounts[0].target.data(), "a"), std::strcpy(p.mounts[1].target.data(), "a/b");
    std::strcpy(p.mounts[0].volume.data(), "vol_aaaaaaaaaaaaaaaaaaaa");
  })) << "within a volume";
  EXPECT_TRUE(is_refused([](LaunchPlan& p) {
    p.mount_count = 1, std::strcpy(p.mounts[0].target.data(), "a"), p.mounts[0].volume.fill('a');
  }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { p.root_bytes = p.memory_bytes + 1; }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { p.root_bytes = 0; }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { p.root_inodes = 0; }));
  EXPECT_TRUE(is_refused([](LaunchPlan& p) { p.root_inodes *= 2; }));
}

}  // namespace
}  // namespace lmsb::sandbox
