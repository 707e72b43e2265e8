#include "serve/rootless.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::serve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

os::UserPlaces places(std::map<std::string, std::string> variables) {
  return os::user_places([variables](const char* name) { return variables.contains(name) ? variables.at(name) : ""; },
                         "/home/alice");
}

// A directory for one test.
struct Home {
  Home() { EXPECT_NE(::mkdtemp(path.data()), nullptr); }
  ~Home() { std::filesystem::remove_all(path); }
  std::string path = testing::TempDir() + "lmsb-home-XXXXXX";
};

TEST(Rootless, TakesThosePlacesOnlyWhereTheSettingsSayNothing) {
  config::Loaded loaded;
  loaded.origin = {{"data_dir", "flag --data-dir"}, {"run_dir", "default"}};
  loaded.config.data_dir = "/d";
  EXPECT_TRUE(settle_places(loaded, places({{"XDG_RUNTIME_DIR", "/run/user/1000"}})).ok());
  EXPECT_EQ(loaded.config.data_dir, "/d");
  EXPECT_EQ(loaded.config.run_dir, "/run/user/1000/lm-sandbox");
  EXPECT_EQ(loaded.config.disks.kind, "memory");
  EXPECT_THAT(settle_places(loaded, places({})).error().hint(), HasSubstr("--run-dir"));
}

TEST(Rootless, TakesNoPlaceThatSomebodyElseCanChange) {
  const Home home;
  const std::string above = home.path + "/above";
  ASSERT_EQ(::mkdir(above.c_str(), 0755), 0);
  EXPECT_TRUE(require_safe_ways(above + "/missing/yet").ok());
  for (const mode_t mode : {0777, 0775}) {
    ASSERT_EQ(::chmod(above.c_str(), mode), 0);
    EXPECT_THAT(require_safe_ways(above + "/mine").error().hint(), HasSubstr("chmod go-w " + above));
    const std::string link = home.path + "/link" + std::to_string(mode);
    ASSERT_EQ(::symlink(above.c_str(), link.c_str()), 0);
    EXPECT_FALSE(require_safe_ways(link + "/mine").ok());
  }
  ASSERT_EQ(::chmod(above.c_str(), 01777), 0);
  EXPECT_TRUE(require_safe_ways(above + "/mine").ok());
}

TEST(Rootless, KeepsTheLocksOfIdsInAPlaceThatIsTheUsersAlone) {
  const Home home;
  EXPECT_EQ(*make_id_locks(home.path), home.path + "/.local/state/lm-sandbox/ids");
  struct stat info {};
  ASSERT_EQ(::stat((home.path + "/.local/state/lm-sandbox").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
  EXPECT_FALSE(make_id_locks("/proc").ok());
}

TEST(Rootless, HasNoStoreAndSaysSo) {
  config::Loaded loaded;
  loaded.config.disks.kind = "store";
  const auto refused = settle_places(loaded, places({{"XDG_RUNTIME_DIR", "/run/user/1000"}}));
  EXPECT_THAT(refused.error().message(), HasSubstr("needs root"));
}

TEST(Rootless, GivesTheDaemonNothingOfASessionButWhatItNeeds) {
  EXPECT_THAT(environment_for_daemon({"PATH=/bin", "GITHUB_TOKEN=t", "SSH_AUTH_SOCK=/s", "LC_ALL=C", "https_proxy=p",
                                      "LM_SANDBOX_POOL__SIZE=2", "LM_SANDBOX_API_KEY=k", "LM_SANDBOX_NONE=1",
                                      "HOME=/home/alice", "DBUS_SESSION_BUS_ADDRESS=d"}),
              ElementsAre("PATH=/bin", "LC_ALL=C", "https_proxy=p", "LM_SANDBOX_POOL__SIZE=2"));
}

}  // namespace
}  // namespace lmsb::serve
