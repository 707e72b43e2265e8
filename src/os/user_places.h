#pragma once
// user_places: where the things of a user lie who runs lm-sandbox without root, by the XDG base directories.
#include <functional>
#include <string>

namespace lmsb::os {

struct UserPlaces {
  std::string settings;  // the file, which may be missing
  std::string data_dir;
  std::string runtime_dir;  // "" = there is none
  std::string run_dir() const { return runtime_dir.empty() ? "" : runtime_dir + "/lm-sandbox"; }
};

// Pure: `variable` gives an environment variable, "" where it is not set; `home` is what the account says.
UserPlaces user_places(const std::function<std::string(const char*)>& variable, const std::string& home);
UserPlaces places_of_this_user();
// What the account says, whatever the environment does; "" where there is no account.
std::string home_of_this_user();

}  // namespace lmsb::os
