#pragma once
// The states of a kept sandbox and the moves between them: this table and the one in docs/user/lifecycle.md are the
// same, which the test lint.reference holds.
#include <cstdint>
#include <string_view>

namespace lmsb::control {

enum class SandboxState : std::uint8_t { creating, running, paused, stopped, failed, lost };

std::string_view to_string(SandboxState state);

// Whether a sandbox may go from one state to the other. One that is deleted is in no state any more: that is always
// allowed.
bool may_move(SandboxState from, SandboxState to);

}  // namespace lmsb::control
