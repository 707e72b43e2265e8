#include "cli/daemon_choice.h"

#include <cerrno>
#include <map>

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

// A machine of two tables: what connecting to a socket gives (ENOENT when not listed) and what files hold.
struct Machine {
  std::map<std::string, int> sockets;
  std::map<std::string, std::string> files;
  std::string host_variable;
  bool root = false;

  Surroundings surroundings() const {
    Surroundings result;
    result.host_variable = host_variable;
    result.runtime_dir = "/run/user/1000";
    result.root = root;
    result.try_socket = [sockets = sockets](const std::string& path) {
      const auto found = sockets.find(path);
      return found == sockets.end() ? ENOENT : found->second;
    };
    result.read_file = [files = files](const std::string& path) -> std::optional<std::string> {
      const auto found = files.find(path);
      if (found == files.end()) return std::nullopt;
      return found->second;
    };
    return result;
  }
  Result<std::optional<std::string>> choose(const std::string& flag = "",
                                            PrivateDaemonUse use = PrivateDaemonUse::allowed) const {
    return choose_daemon(flag, use, surroundings());
  }
};

constexpr const char* kUserSocket = "/run/user/1000/lm-sandbox/api.sock";

TEST(DaemonChoice, TakesTheFlagThenTheVariableThenTheUsersSocketThenTheSystems) {
  Machine machine;
  machine.sockets = {{kUserSocket, 0}, {kSystemSocket, 0}};
  machine.host_variable = "http://127.0.0.1:9";
  EXPECT_EQ(**machine.choose("unix:/x"), "unix:/x");
  EXPECT_EQ(**machine.choose(), "http://127.0.0.1:9");
  machine.host_variable = "";
  EXPECT_EQ(**machine.choose(), std::string("unix:") + kUserSocket);
  machine.sockets[kUserSocket] = ECONNREFUSED;  // a stale file
  EXPECT_EQ(**machine.choose(), std::string("unix:") + kSystemSocket);
}

TEST(DaemonChoice, StartsAPrivateOneForRootWhenNoneRuns) {
  Machine machine;
  machine.root = true;
  const auto choice = machine.choose();
  ASSERT_TRUE(choice.ok());
  EXPECT_FALSE(choice->has_value());
}

TEST(DaemonChoice, TellsWhoMayNotUseTheSystemSocketWhichGroupToJoin) {
  Machine machine;
  machine.sockets = {{kSystemSocket, EACCES}};
  const auto choice = machine.choose();
  ASSERT_FALSE(choice.ok());
  EXPECT_EQ(choice.error().code(), ErrorCode::permission_denied);
  EXPECT_NE(choice.error().hint().find("usermod -aG lm-sandbox"), std::string::npos);
}

TEST(DaemonChoice, StartsAPrivateOneForANormalUserToo) {
  const auto choice = Machine().choose();
  ASSERT_TRUE(choice.ok());
  EXPECT_FALSE(choice->has_value());
}

TEST(DaemonChoice, NamesTheSysctlWhenThereIsNoRootAndThereAreNoUserNamespaces) {
  for (const bool root : {false, true}) {
    Machine machine;
    machine.root = root;
    machine.files = {{"/proc/sys/user/max_user_namespaces", "0\n"}};
    const auto choice = machine.choose();
    ASSERT_FALSE(choice.ok());
    EXPECT_EQ(choice.error().hint(), "sudo sysctl -w user.max_user_namespaces=65536");
  }
  Machine debian;
  debian.files = {{"/proc/sys/kernel/unprivileged_userns_clone", "0\n"}};
  EXPECT_NE(debian.choose().error().hint().find("sysctl -w kernel.unprivileged_userns_clone=1"), std::string::npos);
  Machine ubuntu;
  ubuntu.files = {{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"}};
  EXPECT_NE(ubuntu.choose().error().hint().find("packaging/apparmor/lm-sandbox"), std::string::npos);
}

TEST(DaemonChoice, IgnoresUbuntusLimitUnderOurProfile) {
  Machine machine;
  machine.files = {{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"},
                   {"/proc/self/attr/apparmor/current", "lm-sandbox (unconfined)\n"}};
  EXPECT_TRUE(machine.choose().ok());
}

TEST(DaemonChoice, OffersNoPrivateOneWhereWhatItMakesWouldBeGoneAtOnce) {
  Machine machine;
  machine.root = true;
  const auto choice = machine.choose("", PrivateDaemonUse::senseless);
  ASSERT_FALSE(choice.ok());
  EXPECT_EQ(choice.error().hint(), "start one: sudo lm-sandbox serve");
  machine.root = false;
  EXPECT_TRUE(
      machine.choose("", PrivateDaemonUse::senseless).error().hint().starts_with("start one: lm-sandbox serve"));
}

TEST(DaemonChoice, TellsAKeyUnaskedToThisMachineAndWhereTheEnvironmentLeads) {
  const std::string variable = "https://daemon.example";
  for (const char* host : {"", "unix:/run/x.sock", "http://localhost:8000", "http://127.0.0.1:8000/x",
                           "https://[::1]:8000", "https://daemon.example"})
    EXPECT_TRUE(may_have_key_unasked(host, variable)) << host;
  for (const char* host : {"http://daemon.example", "https://daemon.example.evil.com", "http://evil.com:8000",
                           "http://localhost.evil.com", "http://127.0.0.1.evil.com", "http://192.0.2.1", "nonsense"})
    EXPECT_FALSE(may_have_key_unasked(host, variable)) << host;
}

}  // namespace
}  // namespace lmsb::cli
