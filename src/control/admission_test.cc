#include "control/admission.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/machine.h"
#include "io/run_blocking.h"

namespace lmsb::control {
namespace {

using sandbox::Lifetime;

sandbox::Limits with_memory(Bytes memory) {
  sandbox::Limits limits;
  limits.memory = memory;
  return limits;
}

// A gibibyte for all.
class AdmissionTest : public testing::Test {
 protected:
  AdmissionTest() {
    options_.all_memory = Bytes::GiB(1);
    options_.memory_overcommit = 4;
    options_.max_wait = std::chrono::milliseconds(5);
  }
  Admission& admission() {
    if (!admission_) admission_.emplace(loop_, options_, metrics_);
    return *admission_;
  }
  std::optional<Admission::Share> try_room(Bytes memory, Lifetime lifetime) {
    return admission().try_room(with_memory(memory), lifetime);
  }

  boost::asio::io_context loop_{1};
  Metrics metrics_;
  AdmissionOptions options_;
  std::optional<Admission> admission_;
};

TEST_F(AdmissionTest, CountsOneShotsInFullAndWhatStaysForAPart) {
  const auto one_shot = try_room(Bytes::MiB(512), Lifetime::one_shot);
  EXPECT_TRUE(one_shot);
  const auto kept = try_room(Bytes::GiB(1), Lifetime::kept);
  EXPECT_TRUE(kept);
  EXPECT_EQ(admission().sandboxes().held().memory, Bytes::MiB(512 + 256).count());
  EXPECT_FALSE(try_room(Bytes::MiB(512), Lifetime::one_shot));
  EXPECT_THAT(metrics_.text(), testing::HasSubstr("lmsb_memory_held_bytes 805306368"));
  EXPECT_THAT(metrics_.text(), testing::HasSubstr("lmsb_memory_budget_bytes 1073741824"));
}

TEST_F(AdmissionTest, CountsTheGateOfOneWithANetwork) {
  const sandbox::Limits limits = with_memory(Bytes::MiB(512));
  const auto without = admission().try_room(with_gate(limits, false), Lifetime::one_shot);
  EXPECT_EQ(admission().sandboxes().held().memory, Bytes::MiB(512).count());
  EXPECT_FALSE(admission().try_room(with_gate(limits, true), Lifetime::one_shot));
  const auto kept = admission().try_room(with_gate(limits, true), Lifetime::kept);
  EXPECT_EQ(admission().sandboxes().held().memory, Bytes::MiB(512 + 128 + 16).count());
}

TEST_F(AdmissionTest, CountsAnArchiverForAPartOfTheBudget) {
  const std::array<std::array<std::uint64_t, 2>, 4> cases = {{{32, 32}, {256, 64}, {1024, 128}, {16384, 512}}};  // MiB
  for (const auto& [budget, part] : cases) {
    options_.all_memory = Bytes::MiB(budget);
    admission_.reset();
    const auto room = io::run_on(loop_, admission().take_archiver_room("a"));
    ASSERT_TRUE(room.ok());
    EXPECT_EQ(room->amount().memory, Bytes::MiB(part).count());
    EXPECT_EQ(admission().sandboxes().held().memory, Bytes::MiB(part).count());
  }
}

TEST_F(AdmissionTest, LetsAnArchiverWaitForMemoryAsAnythingElse) {
  const auto most = try_room(Bytes::MiB(1000), Lifetime::one_shot);
  const auto late = io::run_on(loop_, admission().take_archiver_room("a"));
  EXPECT_EQ(late.error().slug(), "no_memory");
}

TEST_F(AdmissionTest, SaysWhatToDoToWhomThereIsNoMemoryFor) {
  const auto all = try_room(Bytes::GiB(1), Lifetime::one_shot);
  const auto late = io::run_on(loop_, admission().take_room("a", with_memory(Bytes::GiB(1)), Lifetime::one_shot));
  EXPECT_EQ(late.error().code(), ErrorCode::resource_exhausted);
  EXPECT_EQ(late.error().slug(), "no_memory");
  EXPECT_THAT(late.error().hint(), testing::HasSubstr("[limits] memory"));
  EXPECT_THAT(metrics_.text(), testing::HasSubstr("lmsb_refused_requests_total{for=\"memory\"} 1"));
}

TEST_F(AdmissionTest, RefusesWhatThereCanNeverBeRoomFor) {
  EXPECT_TRUE(admission().check(with_memory(Bytes::GiB(1)), Lifetime::one_shot).ok());
  EXPECT_TRUE(admission().check(with_memory(Bytes::GiB(4)), Lifetime::kept).ok());
  const Status never = admission().check(with_memory(Bytes::GiB(2)), Lifetime::one_shot);
  EXPECT_EQ(never.error().slug(), "policy_denied");
  EXPECT_EQ(never.error().message(), "limits.memory_bytes: 2g is more than the 1g that all sandboxes may count for");
  EXPECT_THAT(never.error().hint(), testing::HasSubstr("of this machine"));
  EXPECT_EQ(admission().check(with_memory(Bytes::GiB(8)), Lifetime::kept).error().message(),
            "limits.memory_bytes: 8g counts for 2g, more than the 1g that all sandboxes may count for");
}

TEST_F(AdmissionTest, SaysWhichSettingIsInTheWayOfWhatItRefuses) {
  options_.memory = Bytes::GiB(1);
  options_.cpu_overcommit = 1;
  EXPECT_THAT(admission().check(with_memory(Bytes::GiB(2)), Lifetime::one_shot).error().hint(),
              testing::HasSubstr("[limits] memory"));
  sandbox::Limits limits;
  limits.cpu_millis = machine_cpus() * 1000 + 500;
  const Status never = admission().check(limits, Lifetime::kept);
  EXPECT_EQ(never.error().slug(), "policy_denied");
  EXPECT_THAT(never.error().hint(), testing::HasSubstr("[limits] cpu_overcommit"));
}

TEST_F(AdmissionTest, LeavesOfUsualLimitsWhatThereCanBeRoomFor) {
  options_.cpu_overcommit = 0.5;
  sandbox::Limits limits = with_memory(Bytes::GiB(16));
  limits.cpu_millis = machine_cpus() * 1000;
  for (const Lifetime lifetime : {Lifetime::one_shot, Lifetime::kept}) {
    const sandbox::Limits usual = admission().within(limits, lifetime);
    EXPECT_EQ(usual.memory, lifetime == Lifetime::kept ? Bytes::GiB(4) : Bytes::GiB(1));
    EXPECT_EQ(usual.cpu_millis, machine_cpus() * 500);
    EXPECT_TRUE(admission().check(usual, lifetime).ok());
    EXPECT_EQ(admission().within(usual, lifetime), usual);
  }
}

TEST_F(AdmissionTest, CountsCpusWhereThatIsAskedFor) {
  sandbox::Limits limits = with_memory(Bytes::MiB(16));
  limits.cpu_millis = machine_cpus() * 1000;
  EXPECT_TRUE(admission().try_room(limits, Lifetime::kept));
  options_.cpu_overcommit = 1.5;
  admission_.reset();
  const auto one = admission().try_room(limits, Lifetime::kept);
  EXPECT_TRUE(one);
  EXPECT_FALSE(admission().try_room(limits, Lifetime::kept));
}

TEST_F(AdmissionTest, BoundsCommandsByTheirNumber) {
  options_.max_running = 1;
  const auto first = io::run_on(loop_, admission().enter("a"));
  EXPECT_TRUE(first.ok());
  EXPECT_EQ(admission().running(), 1U);
  const auto second = io::run_on(loop_, admission().enter("b"));
  EXPECT_EQ(second.error().slug(), "too_many_requests");
}

}  // namespace
}  // namespace lmsb::control
