#pragma once
// SudoRun: as root, the last steps of sudo: who the command's user is, its variables, then the command. Everything that
// is looked up is the sandbox's own.
#include <cstdint>

#include "guest/sudo_arguments.h"

namespace lmsb::guest {

// Who has typed it.
struct SudoCaller {
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint32_t umask;
};

// What needs no root: help, version, list, and complaints. True when that was all, with its exit status.
bool answer_alone(const SudoArguments& arguments, int& status);

// Becomes the command, in the present directory with the present descriptors. Returns an exit status when it cannot;
// why stands on stderr.
int run_as(const SudoArguments& arguments, const SudoCaller& caller, char** variables);

// One line on stderr, as sudo writes it.
void say_sudo(const char* text, const char* word = "");

}  // namespace lmsb::guest
