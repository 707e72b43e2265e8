#pragma once
// What it means to run a command: the request and the result of every door (interfaces.md, "exec: the contract").
// Plain values.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/units.h"
#include "control/limit_changes.h"
#include "control/model_access.h"
#include "guest_protocol/profile.h"
#include "network/egress.h"
#include "sandbox/limits.h"

namespace lmsb::control {

// How a command ended. Our own fault is only ever `lost` or an Error, never a wrong verdict.
enum class Outcome : std::uint8_t {
  exited,
  signaled,
  timed_out,
  cpu_timed_out,
  oom_killed,
  disk_full,
  cancelled,
  lost
};
std::string_view to_string(Outcome outcome);

using guest_protocol::Profile;
using sandbox::Limits;

// "user", "root"; nothing: neither.
std::string_view to_string(Profile profile);
std::optional<Profile> parse_profile(std::string_view text);

using Argv = std::vector<std::string>;

// What each process of a command may use, below what its sandbox may; nothing = no less.
struct CommandLimits {
  std::optional<std::chrono::seconds> cpu;  // processor time
  std::optional<Bytes> memory;              // address space
  std::optional<Bytes> file;                // that a file may grow to
  std::optional<std::uint32_t> open_files;
  bool is_something() const { return cpu || memory || file || open_files; }
};

struct Command {
  std::variant<std::string, Argv> cmd;     // a string for the shell, or an argument vector
  std::string shell;                       // "" = /bin/bash, else /bin/sh
  std::map<std::string, std::string> env;  // on top of the image's
  std::string cwd;                         // "" = the image's working directory
  std::string user;                        // "" = the profile's user
  std::string stdin_data;
  std::chrono::milliseconds timeout{120'000};  // wall time
  bool asks_for_timeout = false;               // else the policy cuts it down to what it allows
  CommandLimits limits;
  Bytes output_cap = Bytes::MiB(1);  // of each stream: more is counted, head and tail are kept
  bool merge_stderr = false;         // what it writes to stderr goes to stdout, in the order of writing
};

// One captured stream: raw octets. When something is missing, `data` is head + tail and `cut_at` where the gap is.
struct Output {
  std::string data;
  std::uint64_t truncated_bytes = 0;
  std::size_t cut_at = 0;
};

// What nobody can tell is nothing, never 0.
struct Usage {
  double queue_ms = 0;
  double wall_ms = 0;
  std::optional<double> cpu_user_ms;  // of all it started, too; nothing: its end was not reported
  std::optional<double> cpu_system_ms;
  std::optional<std::uint64_t> max_memory_bytes;  // nothing, too, of a shell session's: its bash lives on
  std::optional<std::uint64_t> max_processes;  // threads count; nothing where the kernel cannot tell (kept sandboxes)
};

struct ExecResult {
  Outcome outcome = Outcome::lost;
  std::optional<int> exit_code;       // 128 + signal for signals; nothing only if it never started
  std::optional<std::string> signal;  // "SIGKILL"
  Output out;
  Output err;
  Usage usage;
  std::string sandbox_id;
  std::string process_id;  // by which others found it as long as it ran; "": nobody did (a one-shot)
  std::string image_digest;
  bool oom_killed = false;       // the kernel killed a process of it for want of memory, whatever its own end was
  std::string spill_path;        // where the whole of what was cut is, inside; of both streams stdout's; "" = nowhere
  std::string hint;              // "" = none
  bool background_left = false;  // a background child still held the output; it was detached (killed in a one-shot)
};

// A file that goes in or comes out, by its path inside.
struct File {
  std::string path;
  std::string data;
};

// A directory of the machine that its owner handed to the launcher (run -v; sandbox/mount_token.h).
struct MountRequest {
  std::string token;   // 32 hexadecimal digits
  std::string target;  // absolute path inside
  bool read_only = false;
};

// A volume of the caller's that a sandbox is to have (control/volume_service.h).
struct VolumeRequest {
  std::string volume;  // id or name
  std::string target;  // absolute path inside
  bool read_only = false;
};

// A volume that a sandbox has.
struct MountedVolume {
  std::string id;
  std::string name;    // "" = none
  std::string target;  // inside
  bool read_only = false;
};

struct OneShot {
  Command command;
  std::string image;        // "" = the default image
  LimitChanges limits;      // of the defaults, which the policy cuts down to what it allows
  std::vector<File> files;  // written before the command starts; relative to the working directory
  std::vector<MountRequest> mounts;
  std::vector<VolumeRequest> volumes;
  network::Egress egress;
  Profile profile = Profile::user;
  ModelAccess models;
  std::vector<std::string> devices;  // of the machine, by name: "nvidia.com/gpu=0"
  std::vector<std::string> collect;  // read after it ended
};

// The files that were asked for, each in one of both.
struct CollectedFiles {
  std::vector<File> files;
  std::map<std::string, Error> left_out;  // why: file_not_found, is_a_directory, files_too_large, sandbox_lost ...
};

struct OneShotResult {
  ExecResult exec;
  CollectedFiles collected;
};

}  // namespace lmsb::control
