#include "serve/settings.h"

#include <filesystem>
#include <fstream>
#include <stdlib.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/handed_files.h"
#include "os/message_socket.h"

namespace lmsb::serve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SettingsOfTheDaemon : public testing::Test {
 protected:
  SettingsOfTheDaemon() {
    std::string name = testing::TempDir() + "lmsb-settings-XXXXXX";
    dir_ = ::mkdtemp(name.data());
    keys_ = dir_ + "/keys";
    UniqueFd daemon;
    EXPECT_TRUE(message_socket_pair(parent_, daemon, SOCK_NONBLOCK));
    ServeArguments arguments;
    // Names that the daemon itself could not open.
    arguments.sources.files = {"!/no/such/config.toml"};
    arguments.handed_files = {"/no/such/config.toml", "/no/such/keys"};
    settings_.emplace(std::move(arguments), std::move(daemon));
    write("config.toml", "[auth]\nkey_file = '/no/such/keys'\n");
  }
  ~SettingsOfTheDaemon() override { std::filesystem::remove_all(dir_); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(dir_ + "/" + name) << text; }
  void hand() { launcher::hand_files(parent_.get(), {dir_ + "/config.toml", keys_}); }

  std::string dir_;
  std::string keys_;
  UniqueFd parent_;
  std::optional<Settings> settings_;
};

TEST_F(SettingsOfTheDaemon, ComeFromTheFilesThatAreHandedOver) {
  write("keys", "k1\n");
  hand();
  const auto config = settings_->read();
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(config->auth.keys.at(0).reveal(), "k1");
}

TEST_F(SettingsOfTheDaemon, AreTheNewestThatWereHandedOver) {
  write("keys", "k1\n");
  hand();
  write("new", "k2\n");
  std::filesystem::rename(dir_ + "/new", keys_);
  hand();
  EXPECT_EQ(settings_->read()->auth.keys.at(0).reveal(), "k2");
}

TEST_F(SettingsOfTheDaemon, NameTheFileThatTheParentCouldNotOpen) {
  hand();
  EXPECT_THAT(settings_->read().error().message(),
              HasSubstr("auth.key_file: open /no/such/keys: No such file or directory"));
}

TEST_F(SettingsOfTheDaemon, EndWithTheParent) {
  parent_.reset();
  EXPECT_EQ(settings_->read().error().code(), ErrorCode::cancelled);
}

TEST(Reload, TakesUpKeysDoorsAndPolicyAndNothingElse) {
  config::Config running;
  config::Config fresh;
  fresh.auth.required = true;
  fresh.auth.keys = {Secret("k")};
  fresh.policy.processes = 7;
  fresh.policy.max_snapshots = 3;
  fresh.allow_host = {"a.lan"};
  fresh.allow_origin = {"https://a.lan"};
  EXPECT_THAT(keys_for_a_restart(running, fresh), IsEmpty());
  fresh.listen = {"0.0.0.0:1"};
  fresh.pool.size = 1;
  fresh.policy.refuse_weaker = true;  // asked at the start alone
  const config::Config result = reloaded(running, fresh);
  EXPECT_TRUE(result.auth.required);
  EXPECT_EQ(result.auth.keys.size(), 1U);
  EXPECT_EQ(result.policy.processes, 7U);
  EXPECT_EQ(result.policy.max_snapshots, 3U);
  EXPECT_THAT(result.allow_host, ElementsAre("a.lan"));
  EXPECT_THAT(result.allow_origin, ElementsAre("https://a.lan"));
  EXPECT_EQ(result.listen, running.listen);
  EXPECT_EQ(result.pool.size, running.pool.size);
  EXPECT_FALSE(result.policy.refuse_weaker);
  EXPECT_THAT(keys_for_a_restart(running, fresh), ElementsAre("listen", "pool.size", "policy.refuse_weaker"));
}

TEST(Reload, TakesUpCredentialsAndTheirSecrets) {
  const config::Config running;
  config::Config fresh;
  fresh.network.credentials = {"a=https://a.test X: @/f"};
  fresh.network.credential_files["/f"].secret = Secret("s");
  fresh.policy.credentials = {"a"};
  fresh.network.groups = {"g=good.test"};
  EXPECT_THAT(keys_for_a_restart(running, fresh), ElementsAre("network.groups"));
  const config::Config now = reloaded(running, fresh);
  EXPECT_EQ(now.network.credentials, fresh.network.credentials);
  EXPECT_EQ(now.network.credential_files.at("/f").secret.reveal(), "s");
  EXPECT_EQ(now.policy.credentials, fresh.policy.credentials);
  EXPECT_THAT(now.network.groups, IsEmpty());
}

TEST(Reload, TakesUpANewCertificateAndLeavesTheSwitchToARestart) {
  config::Config plain;
  config::Config running;
  running.tls.cert_file = "/a";
  running.tls.key_file = "/k";
  config::Config fresh = running;
  fresh.tls.cert_file = "/b";
  fresh.tls.certificates = "c";
  EXPECT_THAT(keys_for_a_restart(running, fresh), IsEmpty());
  EXPECT_EQ(reloaded(running, fresh).tls.certificates, "c");
  EXPECT_THAT(keys_for_a_restart(plain, fresh), ElementsAre("tls.cert_file", "tls.key_file"));
  EXPECT_FALSE(reloaded(plain, fresh).tls.is_on());
  EXPECT_THAT(keys_for_a_restart(running, plain), ElementsAre("tls.cert_file", "tls.key_file"));
  EXPECT_TRUE(reloaded(running, plain).tls.is_on());
}

// The launcher keeps to the caps of the start, whatever the daemon says.
TEST(Reload, RaisesNoCapAboveWhatItWasAtTheStart) {
  config::Config running;
  running.policy.memory = Bytes::GiB(2);
  config::Config fresh = running;
  fresh.policy.memory = Bytes(0);  // all of the machine's
  fresh.policy.cpus = 1;           // from all of the machine's: down
  fresh.policy.processes = 40000;
  EXPECT_THAT(keys_for_a_restart(running, fresh), ElementsAre("policy.memory", "policy.processes"));
  const config::Config result = reloaded(running, fresh);
  EXPECT_EQ(result.policy.memory, Bytes::GiB(2));
  EXPECT_EQ(result.policy.cpus, 1);
  EXPECT_EQ(result.policy.processes, running.policy.processes);
}

TEST(Reload, TakesRootAwayAndGivesItToNobodyWhoHadNoneAtTheStart) {
  config::Config with_root;
  config::Config without = with_root;
  without.policy.root = false;
  EXPECT_FALSE(reloaded(with_root, without).policy.root);
  EXPECT_THAT(keys_for_a_restart(with_root, without), IsEmpty());
  EXPECT_FALSE(reloaded(without, with_root).policy.root);
  EXPECT_THAT(keys_for_a_restart(without, with_root), ElementsAre("policy.root"));
}

}  // namespace
}  // namespace lmsb::serve
