#include "os/user_places.h"

#include <map>

#include <gtest/gtest.h>

namespace lmsb::os {
namespace {

UserPlaces places(std::map<std::string, std::string> variables) {
  return user_places([variables](const char* name) { return variables.contains(name) ? variables.at(name) : ""; },
                     "/home/alice");
}

TEST(UserPlaces, AreWhereTheBaseDirectoriesSay) {
  const UserPlaces usual = places({{"XDG_RUNTIME_DIR", "/run/user/1000"}});
  EXPECT_EQ(usual.settings, "/home/alice/.config/lm-sandbox/config.toml");
  EXPECT_EQ(usual.data_dir, "/home/alice/.local/share/lm-sandbox");
  EXPECT_EQ(usual.run_dir(), "/run/user/1000/lm-sandbox");
  const UserPlaces own = places({{"XDG_CONFIG_HOME", "/c"}, {"XDG_DATA_HOME", "relative"}});
  EXPECT_EQ(own.settings, "/c/lm-sandbox/config.toml");
  EXPECT_EQ(own.data_dir, "/home/alice/.local/share/lm-sandbox");  // the specification has others ignored
  EXPECT_EQ(own.run_dir(), "");
}

}  // namespace
}  // namespace lmsb::os
