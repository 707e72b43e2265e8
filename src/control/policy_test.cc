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
  return check_egress(caps, egress.mode, *rules);
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
  const network::Egress egress{network::Mode::allowlist, {"good.test", "credential:github", "credential:shop"}};
  const Principal user{"local:1000", false};
  EXPECT_TRUE(check_credentials(caps, {"root", true}, egress).ok());
  EXPECT_EQ(check_credentials(caps, user, egress).error().slug(), "credential_denied");
  EXPECT_TRUE(check_credentials(caps, user, {network::Mode::allowlist, {"good.test"}}).ok());
  caps.credentials = {"github"};
  EXPECT_EQ(check_credentials(caps, user, egress).error().slug(), "credential_denied");
  EXPECT_TRUE(check_credentials(caps, user, egress, egress).ok()) << "an administrator gave them";
  caps.credentials = {"shop", "github"};
  EXPECT_TRUE(check_credentials(caps, user, egress).ok());
  Principal bounded{"key:key_1", true};
  Grant grant;
  grant.labels = {{"team", "a"}};
  bounded.grant = std::make_shared<const Grant>(grant);
  EXPECT_FALSE(check_credentials({}, bounded, egress).ok());
}

TEST(Policy, RefusesRootWhereTheOperatorDoes) {
  PolicyCaps caps;
  EXPECT_TRUE(check_profile(caps, Profile::root).ok());
  caps.root = false;
  EXPECT_EQ(check_profile(caps, Profile::root).error().slug(), "policy_denied");
  EXPECT_TRUE(check_profile(caps, Profile::user).ok());
}

}  // namespace
}  // namespace lmsb::control
