#pragma once
// Sudo: what the guest's program is when it is not PID 1. For a user it asks the guest for root; for root it runs the
// command; and it serves a user who asks (guest_protocol/sudo.h). It has no power but its caller's, and its memory is a
// few buffers of fixed size.

namespace lmsb::guest {

// As main(). Returns the exit status, unless a command has taken the process's place.
int run_sudo(char** argv, char** envp);

// The parts of it. `arguments` stand behind the program's name.

// For a user: has root run it, and waits. Ends as the command does.
int ask_for_root(char** arguments, char** envp);
// As root: serves one caller of the listening socket that is descriptor 0, and tells the guest by descriptor 1 whom.
[[noreturn]] void serve_caller();

}  // namespace lmsb::guest
