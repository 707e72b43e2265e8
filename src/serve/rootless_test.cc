#include "serve/rootless.h"

#include <map>

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

TEST(Rootless, TakesThosePlacesOnlyWhereTheSettingsSayNothing) {
  config::Loaded loaded;
  loaded.origin = {{"data_dir", "flag --data-dir"}, {"run_dir", "default"}};
  loaded.config.data_dir = "/d";
  EXPECT_TRUE(settle_places(loaded, places({{"XDG_RUNTIME_DIR", "/run/user/1000"}})).ok());
  EXPECT_EQ(loaded.config.data_dir, "/d");
  EXPECT_EQ(loaded.config.run_dir, "/run/user/1000/lm-sandbox");
  EXPECT_EQ(loaded.config.disks.kind, "memory");
  EXPECT_EQ(id_locks_of(places({{"XDG_RUNTIME_DIR", "/run/user/1000"}}), "/x"), "/run/user/1000/lm-sandbox.ids");
  EXPECT_EQ(id_locks_of(places({}), "/x"), "/x/lm-sandbox.ids");
  EXPECT_THAT(settle_places(loaded, places({})).error().hint(), HasSubstr("--run-dir"));
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
