#pragma once
// daemon_choice: which daemon a command asks. Decides from what it is told about the machine; opens nothing itself.
//
// In this order: --host or LM_SANDBOX_HOST, the user's socket ($XDG_RUNTIME_DIR/lm-sandbox/api.sock), the system's
// (/run/lm-sandbox/api.sock), and where a command can do with it a private daemon.
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "os/user_namespaces.h"

namespace lmsb::cli {

constexpr const char* kSystemSocket = "/run/lm-sandbox/api.sock";

// What to do about a socket that is closed to the caller.
constexpr const char* kJoinGroup =
    "join its group (sudo usermod -aG lm-sandbox $USER, then log in again) or use sudo lm-sandbox";

// What of the machine and the environment the choice depends on.
struct Surroundings {
  std::string host_variable;  // LM_SANDBOX_HOST, "" = not set
  std::string runtime_dir;    // XDG_RUNTIME_DIR, "" = not set
  bool root = false;
  // Connects to a unix socket and closes again: 0, or the errno.
  std::function<int(const std::string& path)> try_socket;
  os::ReadFile read_file;
};
Surroundings surroundings_of_this_process();

enum class PrivateDaemonUse : std::uint8_t { allowed, senseless };  // senseless: what it made would be gone at once

// The address of the daemon ("unix:/path", "http://..."); nothing = start a private one. The Error says what to do:
// which command, which group, which sysctl.
Result<std::optional<std::string>> choose_daemon(const std::string& host_flag, PrivateDaemonUse use,
                                                 const Surroundings& surroundings);

// Whether a key from the environment may go to `host` (--host, or "") before somebody has said so by Enter: to this
// machine, and where the environment itself leads.
bool may_have_key_unasked(const std::string& host, const std::string& host_variable);

}  // namespace lmsb::cli
