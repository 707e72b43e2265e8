#include "control/policy.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

TEST(Policy, CutsDownWhatIsAboveItButForTheDisk) {
  PolicyCaps caps;
  caps.memory = Bytes::MiB(100);
  caps.cpu_millis = 500;
  caps.processes = 10;
  caps.disk = Bytes::GiB(1);
  EXPECT_EQ(within(caps, {Bytes::GiB(1), 2000, 256, Bytes::GiB(8)}),
            (sandbox::Limits{Bytes::MiB(100), 500, 10, Bytes::GiB(8)}));
  const sandbox::Limits less{Bytes::MiB(64), 100, 9, Bytes::MiB(1)};
  EXPECT_EQ(within(caps, less), less);
  sandbox::Limits shared = less;
  shared.shm = Bytes::GiB(8);
  EXPECT_EQ(within(caps, shared).shm, sandbox::most_shm(caps.memory)) << "it is memory";
}

TEST(Policy, RefusesATimeThatIsAskedForAndCutsDownOneThatIsNot) {
  using std::chrono::milliseconds;
  Command command;
  ASSERT_TRUE(settle_timeout(command, milliseconds(60'000)).ok());
  EXPECT_EQ(command.timeout, milliseconds(60'000));
  command.asks_for_timeout = true;
  command.timeout = milliseconds(60'001);
  EXPECT_EQ(settle_timeout(command, milliseconds(60'000)).error().slug(), "policy_denied");
  command.timeout = milliseconds(10);
  ASSERT_TRUE(settle_timeout(command, milliseconds(60'000)).ok());
  EXPECT_EQ(command.timeout, milliseconds(10));
}

Status check(const PolicyCaps& caps, const network::Egress& egress) {
  const auto rules = network::rules_of(egress, {});
  EXPECT_TRUE(rules.ok());
  return check_egress(caps, egress, *rules);
}

TEST(Policy, TakesNoListForOneThatListsNothing) {
  using network::Mode;
  PolicyCaps caps;
  const network::Egress wide{Mode::allowlist, {"good.test", "0.0.0.0/1:443"}};
  const network::Egress top{Mode::allowlist, {"*.com"}};
  for (const network::Egress& egress : {wide, top, network::Egress{Mode::open, {}}}) {
    caps.network = Mode::open;
    EXPECT_TRUE(check(caps, egress).ok());
    caps.network = Mode::allowlist;
    EXPECT_EQ(check(caps, egress).error().slug(), "policy_denied");
  }
  EXPECT_TRUE(check(caps, {Mode::allowlist, {"good.test", "*.x.org", "11.0.0.0/8:5432"}}).ok());
  EXPECT_TRUE(check(caps, {}).ok());
  caps.network = Mode::none;
  EXPECT_FALSE(check(caps, {Mode::allowlist, {"good.test"}}).ok());
  EXPECT_TRUE(check(caps, {}).ok());
}

TEST(Policy, LeavesCredentialsToAdministratorsUnlessItListsThem) {
  PolicyCaps caps;
  const network::Egress wanted{network::Mode::allowlist, {"good.test", "credential:github", "credential:shop"}};
  const auto may = [&caps, &wanted](const Principal& who, const network::Egress& before = {}) {
    network::Egress egress = wanted;
    note_given(who, egress, before);
    const Status checked = check(caps, egress);
    EXPECT_EQ(checked.ok() ? "" : checked.error().slug(), checked.ok() ? "" : "credential_denied");
    return checked.ok();
  };
  const Principal user{"local:1000", false};
  EXPECT_TRUE(may({"root", true}));
  EXPECT_FALSE(may(user));
  EXPECT_TRUE(check(caps, {network::Mode::allowlist, {"good.test"}}).ok());
  caps.credentials = {"github"};
  EXPECT_FALSE(may(user));
  network::Egress before = wanted;
  EXPECT_FALSE(may(user, before)) << "nobody gave them";
  note_given({"root", true}, before);
  EXPECT_TRUE(may(user, before)) << "an administrator gave them";
  caps.credentials = {"shop", "github"};
  EXPECT_TRUE(may(user));
  caps = {};
  Principal bounded{"key:key_1", true};
  Grant grant;
  grant.labels = {{"team", "a"}};
  bounded.grant = std::make_shared<Grant>(grant);
  EXPECT_FALSE(may(bounded));
}

TEST(Policy, TakesBackWhatItListedButNotWhatAnAdministratorGave) {
  PolicyCaps caps;
  caps.credentials = {"github"};
  network::Egress listed{network::Mode::allowlist, {"credential:github"}};
  network::Egress given = listed;
  note_given({"local:1000", false}, listed);
  note_given({"root", true}, given);
  EXPECT_TRUE(check(caps, listed).ok());
  caps.credentials = {};
  EXPECT_EQ(check(caps, listed).error().slug(), "credential_denied");
  EXPECT_TRUE(check(caps, given).ok());
}

TEST(Policy, RefusesRootWhereTheOperatorDoes) {
  PolicyCaps caps;
  EXPECT_TRUE(check_profile(caps, Profile::root).ok());
  caps.root = false;
  EXPECT_EQ(check_profile(caps, Profile::root).error().slug(), "policy_denied");
  EXPECT_TRUE(check_profile(caps, Profile::user).ok());
}

TEST(Policy, RefusesRootWhereItWouldShareIds) {
  const auto refused = [](RootProfile possible, const char* image) {
    const Status checked = check_profile(possible, image, Profile::root);
    EXPECT_TRUE(check_profile(possible, image, Profile::user).ok());
    return checked.ok() ? std::string() : std::string(checked.error().slug());
  };
  for (const char* image : {"host", "base"}) {
    EXPECT_EQ(refused(RootProfile::everywhere, image), "");
    EXPECT_EQ(refused(RootProfile::nowhere, image), "profile_not_possible");
  }
  EXPECT_EQ(refused(RootProfile::in_image_host, "host"), "");
  EXPECT_EQ(refused(RootProfile::in_image_host, "base"), "profile_not_possible");
}

TEST(Policy, LabelsHaveABoundOfTheirNumberAndOfTheirText) {
  EXPECT_TRUE(check_labels({{"a", std::string(64 * 1024 - 1, 'x')}}).ok());
  EXPECT_EQ(check_labels({{"a", std::string(64 * 1024, 'x')}}).error().slug(), "too_many_labels");
}

TEST(Policy, ALabelHasAName) {
  EXPECT_TRUE(check_labels({{"a", ""}}).ok());
  EXPECT_EQ(check_labels({{"", "a"}}).error().slug(), "invalid_name");
}

TEST(Policy, OfALimitThatNothingKeepsIsRefused) {
  PolicyCaps caps;
  Layers layers;
  layers.has_memory_limit = layers.has_cpu_limit = layers.has_process_limit = false;
  EXPECT_TRUE(check_kept(caps, layers).ok());
  caps.memory = Bytes::GiB(1);
  EXPECT_TRUE(check_kept(caps, Layers()).ok());
  EXPECT_EQ(check_kept(caps, layers).error().slug(), "limit_not_kept");
  PolicyCaps cpus;
  cpus.cpu_millis = 500;
  EXPECT_TRUE(check_kept(cpus, Layers()).ok());
  EXPECT_EQ(check_kept(cpus, layers).error().slug(), "limit_not_kept");
}

}  // namespace
}  // namespace lmsb::control
