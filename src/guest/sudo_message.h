#pragma once
// What sudo and who serves it tell each other (guest_protocol/sudo.h): a request put together and taken apart, and the
// signals that are passed on. Pure.
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest_protocol/messages.h"
#include "guest_protocol/sudo.h"

namespace lmsb::guest {

// What a caller's sudo passes on when it gets it; SIGTSTP as SIGSTOP, and what follows it as SIGCONT.
inline constexpr std::array kPassedSignals = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
                                              SIGUSR2, SIGALRM, SIGWINCH, SIGTSTP};
bool may_be_sent(int signal);

using SudoBuffer = std::array<char, sizeof(guest_protocol::SudoRequest) + guest_protocol::kMaxBody>;

// Lists end with nullptr. Returns the size of the message, 0 when it would be too large.
std::size_t write_request(char* const* arguments, char* const* variables, std::uint32_t umask, SudoBuffer& buffer);

// Pointers lead into the message.
struct SudoCall {
  std::uint32_t umask;
  std::array<char*, guest_protocol::kMaxSudoStrings + 1> arguments;  // NULL-terminated
  std::array<char*, guest_protocol::kMaxSudoStrings + 1> variables;  // NULL-terminated
};
// False when sizes or counts do not add up.
bool read_request(std::span<char> message, SudoCall& call);

}  // namespace lmsb::guest
