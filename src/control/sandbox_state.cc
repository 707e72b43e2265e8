#include "control/sandbox_state.h"

#include <algorithm>
#include <array>

namespace lmsb::control {
namespace {

using S = SandboxState;

struct Move {
  S from;
  S to;
};

constexpr std::array kMoves = {
    Move{S::creating, S::running},  // it stands
    Move{S::running, S::paused},    // pause, or a limit of its life
    Move{S::paused, S::running},    // resume
    Move{S::running, S::failed},    // its guest has ended
    Move{S::paused, S::failed},     // the same
    Move{S::running, S::stopped},   // stop, a limit of its life, or the daemon's end with --stop-sandboxes
    Move{S::paused, S::stopped},    // the same
    Move{S::failed, S::stopped},    // stop
    Move{S::stopped, S::running},   // start, or found running by a later daemon
    Move{S::stopped, S::lost},      // its disk is gone
};

}  // namespace

std::string_view to_string(SandboxState state) {
  switch (state) {
    case S::creating: return "creating";
    case S::running: return "running";
    case S::paused: return "paused";
    case S::stopped: return "stopped";
    case S::failed: return "failed";
    case S::lost: return "lost";
  }
  return "lost";
}

bool may_move(SandboxState from, SandboxState to) {
  return std::any_of(kMoves.begin(), kMoves.end(), [&](const Move& m) { return m.from == from && m.to == to; });
}

}  // namespace lmsb::control
