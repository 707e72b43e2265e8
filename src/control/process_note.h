#pragma once
// ProcessNote: what a later daemon finds with a process that its guest keeps, beside what the guest itself knows of it.
// The guest hands it back, so it is read like everything that comes from a sandbox: it can only be wrong about that
// sandbox. Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "control/process_service.h"
#include "control/verdict.h"

namespace lmsb::control {

struct ProcessNote {
  std::string session;       // the name of the shell session that it is, of which only asked_at is set; "" = none
  bool reads_script = true;  // of a session; false: an earlier version's, whose bash takes its commands otherwise
  std::string id;            // "prc_..."
  std::variant<std::string, Argv> cmd;
  std::string asked_at;        // RFC 3339
  std::uint64_t began_ms = 0;  // CLOCK_BOOTTIME
  std::chrono::milliseconds timeout{0};
  bool has_stdin = false;
  bool has_terminal = false;
  std::uint64_t oom_kills_before = 0;
  Attempt attempt;
  // Once a daemon has told how it ended:
  struct Told {
    std::uint64_t oom_kills = 0;  // of the sandbox, then
    std::string ended_at;         // RFC 3339
    double wall_ms = 0;
  };
  std::optional<Told> told;
};

// Never larger than guest_protocol::kMaxNote.
std::string pack(const ProcessNote& note);
// Nothing: no note of ours. `argv` has no more words than a command may have.
std::optional<ProcessNote> unpack_process_note(std::string_view octets);

}  // namespace lmsb::control
