#include "os/user_places.h"

#include <cstdlib>
#include <pwd.h>
#include <unistd.h>

namespace lmsb::os {
namespace {

std::string place(const std::string& base, const std::string& home, const char* below) {
  return (base.starts_with('/') ? base : home + below) + "/lm-sandbox";
}

}  // namespace

UserPlaces user_places(const std::function<std::string(const char*)>& variable, const std::string& home) {
  UserPlaces places;
  const std::string runtime = variable("XDG_RUNTIME_DIR");
  places.settings = place(variable("XDG_CONFIG_HOME"), home, "/.config") + "/config.toml";
  places.data_dir = place(variable("XDG_DATA_HOME"), home, "/.local/share");
  if (runtime.starts_with('/')) places.runtime_dir = runtime;
  return places;
}

UserPlaces places_of_this_user() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  const passwd* entry = ::getpwuid(::geteuid());
  const std::string home = variable("HOME");
  return user_places(variable, home.starts_with('/') || entry == nullptr ? home : entry->pw_dir);
}

std::string home_of_this_user() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry == nullptr ? "" : entry->pw_dir;
}

}  // namespace lmsb::os
