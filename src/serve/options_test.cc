#include "serve/options.h"

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/id_ranges.h"

namespace lmsb::serve {
namespace {

TEST(Options, AddTheUsualPathToAnUpstreamWithoutOne) {
  EXPECT_EQ(upstream_base("http://127.0.0.1:11434"), "http://127.0.0.1:11434/v1");
  EXPECT_EQ(upstream_base("http://127.0.0.1:11434/"), "http://127.0.0.1:11434/v1");
  EXPECT_EQ(upstream_base("https://models.example/v1/"), "https://models.example/v1");
  EXPECT_EQ(upstream_base("https://models.example/openai"), "https://models.example/openai");
  config::Config config;
  config.upstream.base_url = "http://127.0.0.1:1";
  EXPECT_EQ(model_options(config).upstream_url, "http://127.0.0.1:1/v1");
}

TEST(Options, SetAsideWhatPreparedSandboxesUse) {
  config::Config config;
  config.pool.size = config.pool.kept_size = 0;
  const Bytes all = admission_options(config).all_memory;
  config.pool.size = 6;
  config.pool.kept_size = 2;
  EXPECT_EQ(all.count() - admission_options(config).all_memory.count(), Bytes::MiB(8).count());
}

TEST(Options, KeepDownloadsToLoopbackWhenOffline) {
  config::Config config;
  EXPECT_EQ(download_limits(config).reach, fetch::Reach::anywhere);
  config.offline = true;
  EXPECT_EQ(download_limits(config).reach, fetch::Reach::loopback);
}

TEST(Options, NameAKeyByItsDigestSoThatItStaysItselfWhenLinesAreRemoved) {
  config::Config config;
  config.socket_group = "";
  config.auth.keys = {Secret("a"), Secret("b")};
  const std::string name = door_policy(config).keys.at(1).name;
  config.auth.keys = {Secret("b")};
  EXPECT_EQ(door_policy(config).keys.at(0).name, name);
  EXPECT_EQ(name, "sha256-3e23e816");
}

TEST(Options, LetRootAndTheDaemonsOwnUserInAndTellOthersWhatToDo) {
  config::Config config;
  config.socket_group = "no-such-group";
  const server::DoorPolicy doors = door_policy(config);
  EXPECT_EQ(doors.local_access(0), server::LocalAccess::admin);
  EXPECT_EQ(doors.local_access(::getuid()), server::LocalAccess::admin);
  EXPECT_EQ(doors.local_access(4'000'000), server::LocalAccess::none);
  EXPECT_THAT(doors.local_help, testing::HasSubstr("groupadd --system no-such-group"));
  config.socket_group = "root";
  EXPECT_THAT(door_policy(config).local_help, testing::HasSubstr("usermod -aG root $USER and send the daemon SIGHUP"));
}

// 0 is the user, in the namespace of the daemon; strangers are shown there as the overflow id, and sandboxes have ids
// of ranges. Names of groups stand for other numbers.
TEST(Options, LetNobodyInButTheUserWhoRunsItWithoutRoot) {
  config::Config config;
  config.socket_group = "root";
  const server::DoorPolicy doors = door_policy(config, launcher::Starter::user);
  EXPECT_EQ(doors.local_access(0), server::LocalAccess::admin);
  for (const std::uint32_t stranger : {65534U, 1U, 1000U, sandbox::kDaemonId, sandbox::kImageRangeBase})
    EXPECT_EQ(doors.local_access(stranger), server::LocalAccess::none) << stranger;
  EXPECT_EQ(doors.local_help, "");
  EXPECT_FALSE(engine_options(config, launcher::Starter::user).weaker.empty());
  EXPECT_EQ(engine_options(config, launcher::Starter::user, true).root_profile, control::RootProfile::in_image_host);
  EXPECT_EQ(engine_options(config, launcher::Starter::user, false).root_profile, control::RootProfile::nowhere);
  EXPECT_EQ(engine_options(config).root_profile, control::RootProfile::everywhere);
  EXPECT_TRUE(engine_options(config).weaker.empty());
}

TEST(Options, HaveACredentialWithoutSecretWhereItsFileHasNone) {
  config::Config config;
  config.network.credentials = {"a=https://a.test X-Key: @/a", "b=https://b.test X-Key: @/b",
                                "c=https://c.test X-Key: @/c"};
  config.network.credential_files["/a"].secret = Secret("s3cret");
  config.network.credential_files["/b"].secret = Secret("two\nlines");
  config.network.credential_files["/c"].fault = "open /c: Permission denied";
  const auto settings = credential_settings(config);
  ASSERT_TRUE(settings.ok()) << settings.error().message();
  EXPECT_EQ(settings->credentials.at("a").fault, "");
  EXPECT_EQ(settings->credentials.at("a").secret.reveal(), "s3cret");
  EXPECT_THAT(settings->credentials.at("b").fault, testing::HasSubstr("more than one line"));
  EXPECT_THAT(settings->credentials.at("c").fault, testing::HasSubstr("Permission denied"));
  EXPECT_TRUE(settings->trust);
  config.network.credential_ca_file = "/no/such";
  EXPECT_THAT(credential_settings(config).error().message(), testing::HasSubstr("network.credential_ca_file"));
  config.network.credentials = {"a=http://a.test X-Key: @/a"};
  EXPECT_THAT(credential_settings(config).error().message(), testing::HasSubstr("network.credentials"));
}

}  // namespace
}  // namespace lmsb::serve
