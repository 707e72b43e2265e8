#include "control/exec.h"

namespace lmsb::control {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::exited: return "exited";
    case Outcome::signaled: return "signaled";
    case Outcome::timed_out: return "timed_out";
    case Outcome::cpu_timed_out: return "cpu_timed_out";
    case Outcome::oom_killed: return "oom_killed";
    case Outcome::disk_full: return "disk_full";
    case Outcome::cancelled: return "cancelled";
    case Outcome::lost: return "lost";
  }
  return "lost";
}

std::string_view to_string(Profile profile) { return profile == Profile::root ? "root" : "user"; }

std::optional<Profile> parse_profile(std::string_view text) {
  for (const Profile profile : {Profile::user, Profile::root})
    if (text == to_string(profile)) return profile;
  return std::nullopt;
}

}  // namespace lmsb::control
