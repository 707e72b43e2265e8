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

}  // namespace lmsb::control
