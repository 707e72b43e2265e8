#pragma once
// Port records: what the program `ports` writes to its stdout, one for each socket that listens for TCP connections.
// All of it comes from a sandbox: the daemon parses it like network input.
#include <array>
#include <cstdint>

namespace lmsb::guest_protocol {

constexpr std::uint32_t kPortMagic = 0x4C4D5054;
constexpr std::uint32_t kMaxListedPorts = 1024;

struct PortRecord {
  std::uint32_t magic;
  std::uint32_t is_v6;                   // 1: all 16 octets of `address` count, else 4
  std::array<std::uint8_t, 16> address;  // in network order
  std::uint32_t port;
  std::int32_t pid;           // inside; 0: whose it is cannot be seen
  std::array<char, 16> name;  // of the process, as /proc/PID/comm has it; NULs behind it
};

}  // namespace lmsb::guest_protocol
