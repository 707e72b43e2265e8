#pragma once
// Sudo: how a user of a sandbox with Profile::root runs a command as root there (docs/adr/0049). `sudo` is the guest's
// program, which the launcher puts into the sandbox under that name. It knocks at a socket of the guest's; the guest
// hears nothing of what is said there: it starts one command of root, the same program, and gives it the socket.
//
// Who serves tells the guest by its stdout, an eventfd, the number of its caller: what it runs ends with that one's
// command, as if it were below it. Between the two, over one SEQPACKET connection: a SudoRequest, a SudoAnswer that it
// has started, SudoSignals, and a SudoAnswer how it ended. Both ends are of the sandbox: neither can do what the
// sandbox cannot.
#include <cstdint>
#include <string_view>

namespace lmsb::guest_protocol {

// In front of PATH. Nothing else is in the directory.
inline constexpr const char* kSudoDirectory = "/run/lm-sandbox/bin";
inline constexpr const char* kSudoProgram = "/run/lm-sandbox/bin/sudo";
// The only argument of who serves one caller; descriptor 0 is the listening socket.
inline constexpr const char* kSudoServe = "--serve-caller";
// Abstract, of the sandbox's own network.
inline constexpr std::string_view kSudoSocket = "lm-sandbox/sudo";

constexpr std::uint32_t kMaxSudo = 16;               // who serve at once; others wait
constexpr std::uint32_t kMaxSudoLeft = 128;          // trees that commands of sudo may leave behind
constexpr std::uint32_t kSudoBurst = 100;            // callers answered one after the other at once
constexpr std::uint32_t kSudoIntervalMs = 500;       // then one for each: every one costs the machine a control group
constexpr std::uint32_t kSudoPauseMs = 5000;         // after one that found nobody to serve, or could not be started
constexpr unsigned kSudoPatienceS = 5;               // for a caller's request
constexpr int kSudoCallersPatienceMs = 10'000;       // for its start, as often as follows
constexpr int kSudoCallersPatience = 3;              // (a sandbox that is paused is one of them at most)
constexpr std::uint32_t kSudoDescriptors = 4;        // stdin, stdout, stderr, working directory
constexpr std::uint32_t kMaxSudoStrings = 1U << 16;  // arguments, and variables

// How who serves ends. Anything else: the caller has gone, or was refused, and what runs for it ends.
constexpr int kSudoServed = 0;
constexpr int kSudoNobody = 75;

// Body: argc arguments behind the program's name, then envc variables of the caller, each NUL-terminated.
struct SudoRequest {
  std::uint32_t version;  // kVersion
  std::uint32_t umask;
  std::uint32_t argc;
  std::uint32_t envc;
  std::uint32_t body_size;  // at most kMaxBody
};

// From the caller to the group of its command's processes; of a fixed list (sudo_message.h).
struct SudoSignal {
  std::int32_t signal;
};

struct SudoAnswer {
  enum class Kind : std::uint32_t {
    started,  // value: the number of who serves
    refused,  // value: errno. EPERM: the caller is not who may; EPROTO: the request
    ended,    // value: as wait(2)
  } kind;
  std::int32_t value;
};

}  // namespace lmsb::guest_protocol
