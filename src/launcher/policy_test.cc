#include "launcher/policy.h"

#include <gtest/gtest.h>

namespace lmsb::launcher {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30U;

sandbox::LaunchPlan large_plan() {
  sandbox::SandboxSpec spec;
  spec.limits = {Bytes::GiB(8), 4000, 1024, Bytes::GiB(10), Bytes::GiB(4)};
  return *sandbox::plan(spec);
}

TEST(Policy, CutsAPlanDownToWhatIsAllowed) {
  const auto plan = within({1 * kGiB, 1500, 100, 2 * kGiB}, large_plan());
  EXPECT_EQ(plan.memory_bytes, 1 * kGiB);
  EXPECT_EQ(plan.cpu_millis, 1500U);
  EXPECT_EQ(plan.processes, 100U);
  EXPECT_EQ(plan.disk_bytes, 2 * kGiB);
  EXPECT_EQ(plan.shm_bytes, 1 * kGiB) << "it is memory";
  EXPECT_EQ(plan.root_bytes, kGiB / 2) << "half the memory: full is ENOSPC, not an OOM kill";
  EXPECT_TRUE(sandbox::validate(plan).ok());
}

TEST(Policy, LeavesASmallerPlanAsItIs) {
  const auto plan = large_plan();
  const auto same = within({16 * kGiB, 8000, 32768, 64 * kGiB}, plan);
  EXPECT_EQ(sandbox::to_text(same), sandbox::to_text(plan));
}

TEST(Policy, IsTheMachinesSizeWhereNothingIsSaid) {
  const auto caps = resolve({});
  ASSERT_TRUE(caps.ok());
  EXPECT_GT(caps->memory_bytes, 0U);
  EXPECT_GE(caps->cpu_millis, 1000U);
  EXPECT_EQ(within(*caps, large_plan()).disk_bytes, 10 * kGiB);
}

}  // namespace
}  // namespace lmsb::launcher
