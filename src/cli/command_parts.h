#pragma once
// What several commands have in common, as values: which daemon, and what of a sandbox and of what runs in it.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "cli/flag_set.h"
#include "cli/values.h"

namespace lmsb::cli {

// Which daemon is meant, and how it is answered. Empty strings mean: not said.
struct Target {
  std::string host;               // --host: http://..., https://..., unix:/path
  std::optional<std::string> ca;  // --ca: a file of authorities, for https
  std::string data_dir;           // --data-dir of a private daemon
  bool json = false;              // --json instead of tables and text
};

// Its first two, as written: of the commands, and before one.
struct HostFlags {
  std::optional<std::string> host;
  std::optional<std::string> ca;
  void apply(Target& target) const;
};

// How much of the machine: run, create, update.
struct LimitFlags {
  std::optional<Bytes> memory;
  std::optional<Bytes> disk;
  std::optional<std::uint32_t> cpu_millis;
  std::optional<std::uint32_t> processes;
  std::optional<Bytes> shm;
  bool is_something() const { return memory || disk || cpu_millis || processes || shm; }
};

// What sandbox is to be made: run, create. What is not said is left to the daemon.
struct SandboxFlags {
  std::string name;
  std::string image;
  std::vector<MountFlag> mounts;
  Variables labels;
  LimitFlags limits;
  std::optional<NetworkFlag> network;
  bool root = false;
  Words devices;  // of the machine
  Words models;   // that it has; none = none
  std::optional<std::uint32_t> model_tokens;
  std::optional<std::uint32_t> model_requests;  // a minute
};

// How long it lives: create, update. What is not said is left to the daemon.
struct LifeFlags {
  std::optional<std::chrono::milliseconds> timeout;  // 0 = no limit, as idle
  std::optional<std::chrono::milliseconds> idle;
  std::string on_timeout;
  std::string on_idle;
};

// What is to be started in it: run, exec.
struct ProcessFlags {
  Words command;  // program and arguments; empty = a login shell (shell only)
  std::string cwd;
  std::string user;
  bool interactive = false;   // pass on stdin
  bool merge_stderr = false;  // stderr comes on stdout, in the order of writing
  std::optional<std::chrono::milliseconds> timeout;
  std::map<std::string, std::uint64_t> limits;  // of each process, by their names in the API; of exec alone
};

// -e and --env-file as written: what they mean depends on the caller's environment (values.h).
struct EnvFlags {
  Words variables;
  Words files;
};

}  // namespace lmsb::cli
