#include "serve/checks.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <stdlib.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/rootless.h"

namespace lmsb::serve {
namespace {

using testing::HasSubstr;

os::ReadFile machine(std::map<std::string, std::string> files) {
  return [files = std::move(files)](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional(found->second);
  };
}

config::Config listening_on(const std::string& address, bool has_key) {
  config::Config config;
  config.listen = {"127.0.0.1:8000", address};
  if (has_key) config.auth.keys.emplace_back("k");
  return config;
}

TEST(CheckNetwork, KeepsLoopbackAndLinkLocalAddressesClosed) {
  for (const char* range : {"127.0.0.53", "0.0.0.0/1", "169.254.169.254/32", "0.0.0.0/0", "10.0.0.1/8"}) {
    config::Config config;
    config.network.reachable_private = {"10.1.0.0/16", range};
    EXPECT_THAT(check_network(config).error().message(), HasSubstr(range));
  }
  config::Config config;
  config.network.reachable_private = {"10.0.0.0/8", "192.168.0.0/16", "100.64.0.0/10"};
  config.network.unreachable = {"45.67.0.0/24"};
  EXPECT_TRUE(check_network(config).ok());
  config.network.unreachable = {"45.67.0.1/24"};
  EXPECT_THAT(check_network(config).error().message(), HasSubstr("network.unreachable"));
}

TEST(CheckPower, IsContentWithRootWhereUserNamespacesAre) {
  EXPECT_TRUE(check_power(machine({})).ok());
  EXPECT_TRUE(check_power(machine({{"/proc/sys/kernel/unprivileged_userns_clone", "0\n"}})).ok());
}

TEST(CheckPower, NamesTheSysctlThatKeepsUserNamespacesFromEverybody) {
  const auto refused = check_power(machine({{"/proc/sys/user/max_user_namespaces", "0\n"}}));
  EXPECT_THAT(refused.error().message(), HasSubstr("user.max_user_namespaces is 0"));
  EXPECT_EQ(refused.error().hint(), "sudo sysctl -w user.max_user_namespaces=65536");
}

TEST(CheckPower, OfAUserNamesWhatKeepsUserNamespacesFromNormalUsers) {
  for (const auto& [file, mend] : std::map<std::string, std::string>{
           {"/proc/sys/user/max_user_namespaces", "sysctl -w user.max_user_namespaces=65536"},
           {"/proc/sys/kernel/unprivileged_userns_clone", "sysctl -w kernel.unprivileged_userns_clone=1"}}) {
    const auto refused = check_rootless(machine({{file, "0\n"}}));
    EXPECT_THAT(refused.error().message(), HasSubstr("without root"));
    EXPECT_THAT(refused.error().hint(), HasSubstr(mend));
  }
}

TEST(CheckBinding, LetsLoopbackBeWithoutAKeyAndWithAnyImage) {
  for (const char* address : {"127.0.0.1:1", "127.9.9.9:0", "localhost:8000", "[::1]:80"})
    EXPECT_TRUE(check_binding(listening_on(address, false), "host").ok()) << address;
}

TEST(CheckBinding, WantsAKeyBeyondLoopback) {
  for (const char* address : {"0.0.0.0:0", "[::]:80", "192.0.2.1:80"}) {
    EXPECT_THAT(check_binding(listening_on(address, false), "base").error().message(), HasSubstr("needs an API key"));
    EXPECT_TRUE(check_binding(listening_on(address, true), "base").ok()) << address;
  }
}

TEST(CheckBinding, RefusesTheMachinesOwnProgramsAsTheImageInForceBeyondLoopback) {
  const auto refused = check_binding(listening_on("0.0.0.0:0", true), "host");
  EXPECT_THAT(refused.error().message(), HasSubstr("image host"));
  EXPECT_THAT(refused.error().hint(), HasSubstr("lm-sandbox image build base"));
}

TEST(CheckBinding, TakesNoNameForLoopbackThatOnlyLooksLikeOne) {
  EXPECT_FALSE(check_binding(listening_on("127.evil.example:80", true), "base").ok());
  EXPECT_FALSE(check_binding(listening_on("localhost.evil.example:80", true), "base").ok());
}

TEST(WarningOfBinding, IsForThoseBeyondLoopbackWithoutTls) {
  EXPECT_THAT(warning_of_binding(listening_on("0.0.0.0:0", true)), HasSubstr("without TLS"));
  EXPECT_EQ(warning_of_binding(listening_on("[::1]:0", true)), "");
  config::Config config = listening_on("0.0.0.0:0", true);
  config.tls.cert_file = "/c";
  config.tls.key_file = "/k";
  EXPECT_EQ(warning_of_binding(config), "");
}

TEST(MakeTls, NamesTheSettingAndTheFile) {
  config::Config config;
  const auto nothing = make_tls(config);
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(*nothing, nullptr);
  config.tls.cert_file = "/c";
  config.tls.key_file = "/k";
  config.tls.certificates = "x";
  EXPECT_THAT(make_tls(config).error().message(), HasSubstr("tls.cert_file: /c: there is no certificate in it"));
  EXPECT_THAT(make_tls(config).error().hint(), HasSubstr("docs/user/tls.md"));
  config.listen.clear();  // of a daemon that has its unix socket alone
  EXPECT_TRUE(make_tls(config).ok());
}

TEST(CheckDataDirectory, MakesWhatIsMissingAndNamesWhatCannotBeMade) {
  std::string name = testing::TempDir() + "lmsb-data-XXXXXX";
  const std::string dir = ::mkdtemp(name.data());
  EXPECT_TRUE(check_data_directory(dir + "/a/b").ok());
  EXPECT_TRUE(std::filesystem::is_directory(dir + "/a/b"));
  std::ofstream(dir + "/file") << "";
  const auto refused = check_data_directory(dir + "/file/data");
  EXPECT_THAT(refused.error().message(), HasSubstr(dir + "/file/data cannot be written: Not a directory"));
  EXPECT_THAT(refused.error().hint(), HasSubstr("--data-dir"));
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace lmsb::serve
