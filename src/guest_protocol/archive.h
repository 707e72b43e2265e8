#pragma once
// What launcher, archiver and daemon say to each other about a disk that becomes one stream, or is made from one
// (docs/adr/0036): a setup goes in with three descriptors, a report comes out. Fixed-size structs.
//
// The archiver trusts its setup, as a guest does. Its report is parsed like network input: it has read what a sandbox
// wrote, or what somebody sent.
#include <array>
#include <cstdint>

namespace lmsb::guest_protocol {

constexpr std::uint32_t kArchiveMagic = 0x4C4D5341;  // "LMSA"
constexpr std::uint32_t kArchiveVersion = 2;         // of both structs

enum class ArchiveWay : std::uint32_t {
  out,  // the disk, read-only, is written to the stream: plain tar
  in,   // what is read from the stream, tar within Zstandard, is written to the disk, which is empty
};

// Descriptors that travel with a setup, in this order.
enum class ArchiveFd : std::uint32_t {
  disk,    // detached mount with mapped ids
  stream,  // one end of a pipe
  filter,  // sealed memfd: the seccomp program
  count,
};

struct ArchiveSetup {
  std::uint32_t magic = kArchiveMagic;
  std::uint32_t version = kArchiveVersion;
  ArchiveWay way = ArchiveWay::out;
  std::uint32_t unused = 0;
  std::uint64_t max_members = 0;  // the most that may be made
};

// The last word of an archiver. Without one it has been killed.
struct ArchiveReport {
  std::uint32_t magic = kArchiveMagic;
  std::int32_t error = 0;  // errno; of `in` EBADMSG, EPIPE or EPROTONOSUPPORT: the stream is not as it should be
  std::uint64_t members = 0;
  std::uint64_t bytes = 0;  // of their contents
  std::uint32_t path_size = 0;
  std::uint32_t unused = 0;
  std::array<char, 512> path{};  // where the error was met, cut there
};

}  // namespace lmsb::guest_protocol
