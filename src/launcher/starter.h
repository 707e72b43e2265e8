#pragma once
// Starter: as whom launcher and sandboxes are made.
#include <cstdint>

namespace lmsb::launcher {

enum class Starter : std::uint8_t {
  root,  // of the machine
  user,  // anybody else: root of a user namespace that maps the user and the user's subordinate ids (docs/adr/0050)
};

}  // namespace lmsb::launcher
