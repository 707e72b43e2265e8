#pragma once
// Messages between the daemon and a guest, over one SEQPACKET socket: a fixed header, then for some kinds a body.
//
// The daemon parses what a guest sends like network input: sizes are checked, values bounded, unknown kinds end the
// channel, and nothing in a message can concern another sandbox. All integers are in host order: both ends are one
// machine.
#include <array>
#include <cstdint>

#include "guest_protocol/setup.h"

namespace lmsb::guest_protocol {

constexpr std::size_t kMaxBody = 384 * 1024;   // arguments and environment of one command
constexpr std::uint32_t kMaxProcesses = 1024;  // commands alive at once in a sandbox

enum class Kind : std::uint32_t {
  // daemon → guest
  start = 1,  // StartRequest + body; descriptor 0, if any, is the command's stdin
  kill = 2,   // KillRequest
  // guest → daemon
  ready = 64,         // Ready: the sandbox stands
  failed = 65,        // Failed: the launch failed; the guest ends
  started = 66,       // Started; descriptors: read ends of stdout and stderr
  start_failed = 67,  // StartFailed
  exited = 68,        // Exited
};

// What a start request makes of the standby process once it has the posture of a command.
enum class Program : std::uint32_t {
  exec,     // execute argv; argv[0] is searched in PATH when it has no slash
  shell,    // as exec, but argv[0] is empty: /bin/bash, else /bin/sh
  put,      // read a file bundle (bundle.h) from stdin and write the files
  get,      // write the files named by argv to stdout as a bundle
  save,     // write stdin to the file argv[0], at most argv[1] octets; exit status 0: that was all
  connect,  // connect to the unix socket named argv[0], send it stdin, and write what it answers to stdout
};

struct Header {
  Kind kind;
  std::uint32_t sequence;  // chosen by the daemon; names the command in every later message
};

// Body: argc strings, then envc strings, then the working directory; each NUL-terminated.
struct StartRequest {
  Header header;
  Program program;
  std::uint32_t argc;
  std::uint32_t envc;
  std::uint32_t body_size;
  std::uint64_t spare_deadline_ms;  // 0 = none: the guest kills the tree after this, for when the daemon is away
};

struct KillRequest {
  Header header;
  std::int32_t signal;
  std::uint32_t whole_tree;  // 1: every process of the command (signal is then SIGKILL); 0: the leader
};

struct Ready {
  Header header;
  std::int32_t landlock_abi;  // 0 = not in force
  std::array<std::uint32_t, kLaunchSteps> step_us;
};

struct Failed {
  Header header;
  Step step;
  std::int32_t error;  // errno
};

struct Started {
  Header header;
  std::int32_t pid;  // inside
};

struct StartFailed {
  Header header;
  Step step;
  std::int32_t error;
};

struct Exited {
  Header header;
  std::int32_t status;        // as wait(2)
  std::uint32_t tree_left;    // 1: other processes of the command's tree are still alive
  std::uint32_t timed_out;    // 1: the guest killed the tree at the spare deadline
  std::uint32_t disk_full;    // 1: the writable file system had no space left when it ended
  std::uint64_t cpu_user_us;  // of the whole tree so far
  std::uint64_t cpu_system_us;
  std::uint64_t max_rss_bytes;  // of the largest process waited for
};

}  // namespace lmsb::guest_protocol
