#pragma once
// Becoming a command: what runs in the standby once its request arrives. Nothing here allocates before the posture of
// a command is complete; a failure is reported on the socket and ends the process.
#include <array>
#include <cstdint>

#include "guest_protocol/messages.h"

namespace lmsb::guest {

// A StartRequest with its body taken apart. Pointers lead into the received message.
struct ParsedStart {
  guest_protocol::Program program{};
  bool has_terminal = false;
  bool merges_stderr = false;
  std::array<char*, 2049> argv{};  // NULL-terminated
  std::array<char*, 2049> envp{};  // NULL-terminated
  char* cwd = nullptr;
  guest_protocol::ProcessLimits limits;
  bool as_user = false;
};

// Takes the message in `buffer` apart. False when sizes or counts do not add up.
bool parse_start(char* buffer, std::size_t size, ParsedStart& parsed);

// Commands are killed before anything of ours when the sandbox is out of memory.
int raise_oom_score(int proc);

// As execvp(3), with the PATH among `envp`. Returns the errno that explains the failure best.
int execute(const char* name, char* const* argv, char* const* envp);

// Waits for the request on `socket`, then takes the command's user and runs it. Never returns.
[[noreturn]] void become_command(int socket, guest_protocol::Profile profile);

// The programs that are not in the image (become them after the posture is complete). Each returns an exit status.
int run_put();
int run_get(char* const* argv);  // as guest_protocol/bundle.h has them
// Writes stdin to a new file. Exit status 0, or the errno of what cut it short (EFBIG: its limit); what was written
// stays.
int run_save(char* path, const char* limit);
// Connects to the unix socket at `path` and carries octets: stdin to it, then what it answers to stdout.
int run_connect(const char* path);

}  // namespace lmsb::guest
