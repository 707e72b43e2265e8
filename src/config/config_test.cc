#include "config/config.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdlib.h>
#include <string>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/schema.h"

namespace lmsb::config {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Files in a directory that goes when the test ends.
class ConfigFiles : public testing::Test {
 protected:
  ConfigFiles() {
    std::string name = testing::TempDir() + "lmsb-config-XXXXXX";
    dir_ = ::mkdtemp(name.data());
  }
  ~ConfigFiles() override { std::filesystem::remove_all(dir_); }

  std::string file(const std::string& name, const std::string& text) {
    std::string path = dir_ + '/' + name;
    std::ofstream(path) << text;
    ::chmod(path.c_str(), 0600);
    return path;
  }
  // The message for a file of this text.
  std::string refusal(const std::string& text) {
    const auto loaded = load({.files = {file("bad.toml", text)}});
    return loaded.ok() ? "accepted" : loaded.error().message();
  }

  std::string dir_;
};
using ConfigLoad = ConfigFiles;
using ConfigSecrets = ConfigFiles;
using ConfigPrinting = ConfigFiles;

TEST_F(ConfigLoad, GivesTheDefaultsWithoutSources) {
  const auto loaded = load({});
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(loaded->config.listen, ElementsAre("127.0.0.1:8000"));
  EXPECT_EQ(loaded->config.policy.disk, Bytes::GiB(64));
  EXPECT_EQ(loaded->origin.at("pool.size"), "default");
  EXPECT_THAT(loaded->warnings, IsEmpty());
}

TEST_F(ConfigLoad, PutsFlagBeforeEnvironmentBeforeLaterFileBeforeEarlierFile) {
  const std::string etc =
      file("etc.toml", "log_level = 'debug'\n[pool]\nsize = 1\nkept_size = 1\n[limits]\nmax_waiting = 1\n");
  const std::string user = file("user.toml", "[pool]\nsize = 2\nkept_size = 2\n[limits]\nmax_waiting = 2\n");
  const auto loaded = load({.files = {etc, user},
                            .environment = {"LM_SANDBOX_POOL__SIZE=3", "LM_SANDBOX_POOL__KEPT_SIZE=3", "HOME=/"},
                            .flags = {{"pool.size", "4"}}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_EQ(loaded->config.pool.size, 4U);
  EXPECT_EQ(loaded->config.pool.kept_size, 3U);
  EXPECT_EQ(loaded->config.limits.max_waiting, 2U);
  EXPECT_EQ(loaded->config.log_level, "debug");
  EXPECT_EQ(loaded->origin.at("pool.size"), "flag --pool-size");
  EXPECT_EQ(loaded->origin.at("pool.kept_size"), "environment LM_SANDBOX_POOL__KEPT_SIZE");
  EXPECT_EQ(loaded->origin.at("limits.max_waiting"), user + ":5");
  EXPECT_EQ(loaded->origin.at("log_level"), etc + ":1");
}

TEST_F(ConfigLoad, ReadsEveryTypeFromAFile) {
  const auto loaded = load({.files = {file("a.toml",
                                           "listen = ['[::1]:0', '0.0.0.0:80']\noffline = true\n"
                                           "[policy]\nmemory = '8g'\ndisk = 1048576\ncpus = 1.5\ntimeout_ms = 5\n")}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_THAT(loaded->config.listen, ElementsAre("[::1]:0", "0.0.0.0:80"));
  EXPECT_TRUE(loaded->config.offline);
  EXPECT_EQ(loaded->config.policy.memory, Bytes::GiB(8));
  EXPECT_EQ(loaded->config.policy.disk, Bytes::MiB(1));
  EXPECT_EQ(loaded->config.policy.cpus, 1.5);
  EXPECT_EQ(loaded->config.policy.timeout_ms, milliseconds(5));
}

TEST_F(ConfigLoad, ReadsEveryTypeFromTheEnvironment) {
  const auto loaded = load(
      {.environment = {"LM_SANDBOX_ALLOW_HOST=a.example, b.example", "LM_SANDBOX_OFFLINE=1",
                       "LM_SANDBOX_POLICY__MEMORY=512m", "LM_SANDBOX_POLICY__CPUS=2", "LM_SANDBOX_SOCKET_GROUP="}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_THAT(loaded->config.allow_host, ElementsAre("a.example", "b.example"));
  EXPECT_TRUE(loaded->config.offline);
  EXPECT_EQ(loaded->config.policy.memory, Bytes::MiB(512));
  EXPECT_EQ(loaded->config.policy.cpus, 2);
  EXPECT_EQ(loaded->config.socket_group, "");
}

TEST_F(ConfigLoad, AddsAnItemForEachRepeatedFlag) {
  const auto loaded = load({.environment = {"LM_SANDBOX_LISTEN=127.0.0.1:1"},
                            .flags = {{"listen", "127.0.0.1:2"}, {"listen", "127.0.0.1:3"}}});
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(loaded->config.listen, ElementsAre("127.0.0.1:2", "127.0.0.1:3"));
}

TEST_F(ConfigLoad, NamesTheNearestKeyAndThePlaceOfAnUnknownOne) {
  EXPECT_THAT(refusal("[pool]\nsize = 1\n kept_sise = 2\n"), HasSubstr("bad.toml:3:2: unknown key \"pool.kept_sise\""));
  EXPECT_THAT(refusal("[pool]\nkept_sise = 2\n"), HasSubstr("is pool.kept_size"));
  EXPECT_THAT(refusal("max_running = 2\n"), HasSubstr("is limits.max_running"));
  EXPECT_THAT(refusal("[poool]\n"), HasSubstr("bad.toml:1:"));
  EXPECT_THAT(refusal("\"pool.size\" = 2\n"), HasSubstr("unknown key"));
  EXPECT_EQ(refusal("[pool]\n"), "accepted");
}

TEST_F(ConfigLoad, SaysWhatIsAllowedInPlaceOfAWrongValue) {
  EXPECT_THAT(refusal("\n[pool]\nsize = 'many'\n"),
              HasSubstr("bad.toml:3:1: pool.size must be a whole number from 0 to 1024, not \"many\""));
  EXPECT_THAT(refusal("log_format = 'xml'"), HasSubstr("one of text, json"));
  EXPECT_THAT(refusal("offline = 'true'"), HasSubstr("true or false"));
  EXPECT_THAT(refusal("[policy]\ndisk = '64q'"), HasSubstr("from 1m to 1024t, not \"64q\""));
  EXPECT_THAT(refusal("[policy]\ncpus = 1e300"), HasSubstr("a number from 0 to 4096, not 1e+300"));
}

TEST_F(ConfigLoad, RefusesWhatIsOutOfRangeOrOfAnotherForm) {
  for (const char* text : {"listen = '127.0.0.1:8000'",
                           "listen = ['127.0.0.1']",
                           "listen = [8000]",
                           "listen = ['a:65536']",
                           "pool = 3",
                           "data_dir = 'relative'",
                           "data_dir = ''",
                           "log_level = 'info, warning'",
                           "log_level = ''",
                           "offline = 1979-05-27",
                           "pool.size = -1",
                           "pool.size = 1025",
                           "pool.size = 1.0",
                           "policy.cpus = nan",
                           "policy.cpus = -0.5",
                           "policy.memory = -1",
                           "policy.processes = 0",
                           "policy.timeout_ms = 0",
                           "upstream.base_url = 'ftp://x'",
                           "auth.key_sha256 = ['abc']",
                           "mounts.allow = ['srv']",
                           "[[pool]]\nsize = 1",
                           "ssh_listen = \"a:1\\u0000\"",
                           "offline = true\noffline = true",
                           "listen = [",
                           "= 3"}) {
    EXPECT_THAT(refusal(text), HasSubstr("bad.toml:")) << text;
  }
}

TEST_F(ConfigLoad, RefusesATableWhoseNameBeginsWithWhatNoNameDoes) {
  EXPECT_THAT(refusal("[%]\n"), HasSubstr("bad.toml:1:2: "));
  EXPECT_THAT(refusal("[[}]]\n"), HasSubstr("bad.toml:1:3: "));
  EXPECT_THAT(refusal(std::string("[\0]\n", 4)), HasSubstr("bad.toml:1:2: "));
}

TEST_F(ConfigLoad, NamesTheVariableOrFlagOfAWrongValue) {
  EXPECT_THAT(load({.environment = {"LM_SANDBOX_POOL__SIZE=x"}}).error().message(),
              HasSubstr("environment LM_SANDBOX_POOL__SIZE: pool.size must be"));
  EXPECT_THAT(load({.flags = {{"ssh_listen", "no"}}}).error().message(),
              HasSubstr("flag --ssh-listen: ssh_listen must be"));
}

TEST_F(ConfigLoad, PassesOverAMissingFileUnlessItWasAskedFor) {
  EXPECT_TRUE(load({.files = {dir_ + "/none.toml"}}).ok());
  const auto refused = load({.files = {"!" + dir_ + "/none.toml"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message(), HasSubstr("/none.toml: No such file"));
  EXPECT_FALSE(load({.files = {dir_}}).ok());
}

TEST_F(ConfigLoad, NamesTheRuntimeThatThereIsWhenAnotherIsAskedFor) {
  EXPECT_THAT(refusal("runtime = 'oci'\n"), HasSubstr("runtime must be native, not \"oci\""));
  EXPECT_EQ(refusal("runtime = 'native'\n"), "accepted");
}

TEST_F(ConfigLoad, RefusesASettingWhosePartIsStillToComeAndTakesItsDefault) {
  EXPECT_THAT(refusal("[mounts]\nallow = ['/srv']\n"), HasSubstr("mounts.allow: not yet: "));
  EXPECT_EQ(refusal("[mounts]\nallow = []\n"), "accepted");
}

TEST_F(ConfigLoad, WarnsWhoeverSetsAnAddressForSshThatNothingIsServedThereYet) {
  EXPECT_THAT(load({.flags = {{"ssh_listen", "127.0.0.1:9"}}})->warnings,
              ElementsAre(HasSubstr("ssh_listen: not yet: no SSH is served on 127.0.0.1:9")));
  for (const char* silent : {"off", "127.0.0.1:2222"})
    EXPECT_THAT(load({.flags = {{"ssh_listen", silent}}})->warnings, IsEmpty());
}

TEST_F(ConfigLoad, TakesANameForTheSandboxOfRunBashThatASandboxMayHave) {
  EXPECT_EQ(refusal("[run_bash]\nsandbox = 'shell'\n"), "accepted");
  EXPECT_THAT(refusal("[run_bash]\nsandbox = '../x'\n"), HasSubstr("does not look like an id"));
}

TEST_F(ConfigLoad, ReadsWhatIsHandedOverInPlaceOfAFile) {
  Sources sources{.files = {"/no/such/a.toml", "/no/such/b.toml"}};
  sources.handed.emplace("/no/such/a.toml", std::string("[auth]\nkey_file = '/no/such/keys'\n"));
  sources.handed.emplace("/no/such/b.toml", Error::from_errno(ENOENT, "open /no/such/b.toml"));
  sources.handed.emplace("/no/such/keys", std::string("k1\n"));
  const auto loaded = load(sources);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_EQ(loaded->config.auth.keys.at(0).reveal(), "k1");
  EXPECT_EQ(loaded->origin.at("auth.key_file"), "/no/such/a.toml:2");
  EXPECT_THAT(loaded->files, ElementsAre("/no/such/a.toml", "/no/such/b.toml", "/no/such/keys"));
  sources.handed.insert_or_assign("/no/such/keys", Error::from_errno(EACCES, "open /no/such/keys"));
  EXPECT_THAT(load(sources).error().message(), HasSubstr("auth.key_file: open /no/such/keys: Permission denied"));
}

TEST_F(ConfigLoad, TellsWhichKeysDifferBetweenTwoConfigurations) {
  Config changed;
  EXPECT_THAT(differing_keys(Config(), changed), IsEmpty());
  changed.listen.emplace_back("[::1]:1");
  changed.pool.size = 1;
  changed.upstream.api_key = Secret("k");
  EXPECT_THAT(differing_keys(Config(), changed), ElementsAre("listen", "pool.size", "upstream.api_key"));
}

TEST_F(ConfigLoad, WarnsOnceOfAnUnknownVariableAndNotOfThoseOfOthers) {
  const auto loaded = load({.environment = {"LM_SANDBOX_POOL_SIZE=1", "LM_SANDBOX_POOL_SIZE=1", "LM_SANDBOX_HOST=x",
                                            "LM_SANDBOX_PORT=tcp://10.0.0.1:80", "LM_SANDBOX_PORT_80_TCP_ADDR=10.0.0.1",
                                            "LM_SANDBOX_SERVICE_HOST=10.0.0.1", "LM_SANDBOX_API_KEY=k", "PATH=/bin"}});
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(loaded->warnings, ElementsAre(HasSubstr("nearest known one is LM_SANDBOX_POOL__SIZE")));
}

TEST_F(ConfigSecrets, AreReadFromTheirFile) {
  const auto loaded = load({.environment = {"LM_SANDBOX_UPSTREAM__API_KEY_FILE=" + file("key", "k1\n")}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_EQ(loaded->config.upstream.api_key.reveal(), "k1");
  EXPECT_EQ(loaded->origin.at("upstream.api_key"), "environment LM_SANDBOX_UPSTREAM__API_KEY_FILE");
}

TEST_F(ConfigSecrets, OfAHigherSourceWinOverAFileOfALowerOne) {
  const auto loaded = load({.files = {file("a.toml", "[upstream]\napi_key_file = '/no/such'\n")},
                            .environment = {"LM_SANDBOX_UPSTREAM__API_KEY=k2"}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_EQ(loaded->config.upstream.api_key.reveal(), "k2");
  EXPECT_EQ(loaded->config.upstream.api_key_file, "");
}

TEST_F(ConfigSecrets, GivenTwiceByOneSourceAreRefused) {
  EXPECT_THAT(refusal("[upstream]\napi_key = 'hidden'\napi_key_file = '/x'\n"), HasSubstr("both given"));
  EXPECT_THAT(refusal("[upstream]\napi_key_file = '/no/such'\n"), HasSubstr("upstream.api_key_file: open /no/such"));
}

TEST_F(ConfigSecrets, AreReadAsKeysOneALine) {
  const std::string keys = file("keys", "# ours\nk1\r\n\nk2");
  const auto loaded = load({.files = {file("a.toml", "[auth]\nkey_file = '" + keys + "'\nkey_sha256 = ['" +
                                                         std::string(64, 'A') + "']\n")}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  ASSERT_EQ(loaded->config.auth.keys.size(), 2U);
  EXPECT_EQ(loaded->config.auth.keys[0].reveal(), "k1");
  EXPECT_EQ(loaded->config.auth.keys[1].reveal(), "k2");
  EXPECT_THAT(loaded->config.auth.key_sha256, ElementsAre(std::string(64, 'a')));
  EXPECT_THAT(refusal("[auth]\nkey_file = '" + file("empty", "\n# none\n") + "'\n"), HasSubstr("holds no key"));
}

TEST_F(ConfigSecrets, OfCredentialsAreReadAndNoneOfThemEndsTheStart) {
  const std::string token = file("token", "s3cret\n");
  ::chmod(token.c_str(), 0600);
  const std::string config = "[network]\ncredentials = ['a=https://a.test X: @" + token +
                             "', 'b=https://b.test X: @/no/such', 'c=https://c.test X: @" + file("empty", "\n") +
                             "']\n";
  const auto loaded = load({.files = {file("a.toml", config)}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  const auto& files = loaded->config.network.credential_files;
  EXPECT_EQ(files.at(token).secret.reveal(), "s3cret");
  EXPECT_EQ(files.at(token).fault, "");
  EXPECT_THAT(files.at("/no/such").fault, HasSubstr("open /no/such"));
  EXPECT_THAT(loaded->files, testing::Contains(token));
  EXPECT_THAT(loaded->warnings, testing::Contains(HasSubstr("open /no/such")));
  EXPECT_THAT(show(*loaded, true), testing::Not(HasSubstr("s3cret")));
}

TEST_F(ConfigSecrets, OfTlsAreACertificateAndItsKeyOrNeither) {
  const std::string cert = file("cert", "c\n");
  const std::string key = file("key", "k\n");
  ::chmod(key.c_str(), 0600);
  const auto loaded = load({.flags = {{"tls.cert_file", cert}, {"tls.key_file", key}}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_TRUE(loaded->config.tls.is_on());
  EXPECT_EQ(loaded->config.tls.certificates, "c\n");
  EXPECT_EQ(loaded->config.tls.key.reveal(), "k\n");
  EXPECT_THAT(loaded->files, ElementsAre(cert, key));
  EXPECT_THAT(loaded->warnings, IsEmpty());
  EXPECT_THAT(refusal("[tls]\ncert_file = '" + cert + "'\n"), HasSubstr("is given without tls.key_file"));
  EXPECT_THAT(refusal("[tls]\nkey_file = '" + key + "'\n"), HasSubstr("is given without tls.cert_file"));
  EXPECT_THAT(refusal("[tls]\ncert_file = '" + cert + "'\nkey_file = '/no/such'\n"),
              HasSubstr("tls.key_file: open /no/such"));
}

TEST_F(ConfigSecrets, OfTlsThatOthersCanReadAreWarnedOf) {
  const std::string key = file("key", "k\n");
  const Sources sources{.flags = {{"tls.cert_file", key}, {"tls.key_file", key}}};
  ::chmod(key.c_str(), 0604);
  EXPECT_THAT(load(sources)->warnings, ElementsAre(HasSubstr("everyone on this machine can read")));
  ::chmod(key.c_str(), 0640);
  struct stat info = {};
  ASSERT_EQ(::stat(key.c_str(), &info), 0);
  if (info.st_gid == 0) {
    EXPECT_THAT(load(sources)->warnings, IsEmpty());
  } else {
    EXPECT_THAT(load(sources)->warnings, ElementsAre(HasSubstr("a group on this machine can read")));
  }
}

TEST_F(ConfigSecrets, ThatEveryoneCanReadAreWarnedOf) {
  const std::string keys = file("keys", "k1\n");
  ::chmod(keys.c_str(), 0644);
  const auto loaded = load({.flags = {{"auth.key_file", keys}}});
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(loaded->warnings, ElementsAre(HasSubstr("everyone on this machine can read")));
}

TEST_F(ConfigSecrets, AppearInNoMessage) {
  EXPECT_THAT(refusal("[upstream]\napi_key = 12345\n"), Not(HasSubstr("12345")));
  EXPECT_THAT(refusal("[auth]\nkey_sha256 = ['hidden']\n"), Not(HasSubstr("hidden")));
  const auto loaded = load({.environment = {"LM_SANDBOX_UPSTREAM__API_KEY=hidden"}});
  EXPECT_THAT(show(*loaded, true),
              HasSubstr("upstream.api_key = \"***\"  # environment LM_SANDBOX_UPSTREAM__API_KEY\n"));
}

TEST_F(ConfigPrinting, TheExampleIsTheDefaultsCommentedOrNot) {
  std::string text = example();
  const std::string defaults = show(*load({}), false);
  EXPECT_EQ(show(*load({.files = {file("a.toml", text)}}), false), defaults);
  for (auto at = text.find("\n#"); at != std::string::npos; at = text.find("\n#", at + 1)) {
    if (text[at + 2] != ' ') text.erase(at + 1, 1);
  }
  const auto loaded = load({.files = {file("b.toml", text)}});
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  EXPECT_EQ(show(*loaded, false), defaults);
  for (const auto& [key, origin] : loaded->origin) EXPECT_THAT(origin, HasSubstr("b.toml:")) << key;
}

TEST_F(ConfigPrinting, WhatIsShownReadsBackAsTheSame) {
  const auto loaded = load({.environment = {"LM_SANDBOX_DEFAULT_IMAGE=a\"b\\\n", "LM_SANDBOX_POLICY__CPUS=0.1",
                                            "LM_SANDBOX_POLICY__MEMORY=1500"}});
  ASSERT_TRUE(loaded.ok());
  const auto again = load({.files = {file("a.toml", show(*loaded, true))}});
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(show(*again, false), show(*loaded, false));
  EXPECT_EQ(again->config.default_image, "a\"b\\\n");
}

TEST(Settings, HaveUniqueKeysAndASentence) {
  for (const Setting& setting : settings()) {
    EXPECT_EQ(find_setting(setting.key), &setting);
    EXPECT_TRUE(setting.about.ends_with('.')) << setting.key;
  }
}

TEST_F(ConfigFiles, ShowsItselfAsJson) {
  const std::string shown = show_json(*load({.files = {file("a.toml", "[pool]\nsize = 3\n")}}));
  EXPECT_THAT(shown, testing::StartsWith("{"));
  EXPECT_THAT(shown, HasSubstr("\"pool\":{"));
  EXPECT_THAT(shown, HasSubstr("\"size\":3"));
  EXPECT_THAT(shown, testing::EndsWith("}}"));
}

}  // namespace
}  // namespace lmsb::config
