#pragma once
// From a request to what the guest is asked to start. Pure.
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "control/exec.h"
#include "guest_client/channel.h"

namespace lmsb::control {

// What an image gives every command in it.
struct ImageDefaults {
  std::string digest;
  std::map<std::string, std::string> env;
  std::string workdir = "/workspace";
  Profile profile = Profile::user;  // the sandbox's
};

constexpr std::chrono::milliseconds kStartLimit{30'000};  // from the request to the guest's word that it has begun
constexpr std::uint64_t kSpareMs = 5'000;                 // the guest's own deadline comes this much after the daemon's

// The longest single argument that Linux takes (MAX_ARG_STRLEN - 1).
constexpr std::size_t kMaxArgument = 131071;

// Errors when the command can never run: too long, a NUL inside, an unknown user.
Status check_command(const Command& command);
// `user`: "" is the profile's own. Error: user_not_allowed.
Status check_user(Profile profile, const std::string& user);

// Why a process of a sandbox's did not start (Ending::start_failed): it was to do `what`, in `cwd`. Errors: invalid_cwd
// where that is the reason, too_many_processes (the sandbox is at its limit), and any other of the kernel's.
Error not_started(const std::string& what, const std::string& cwd, const guest_client::Ending& ending);

// Without a deadline. Error: that of check_user().
Result<guest_client::StartSpec> start_spec(const ImageDefaults& image, const Command& command);

}  // namespace lmsb::control
