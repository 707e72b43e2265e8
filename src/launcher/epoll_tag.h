#pragma once
// Tags of the launcher's epoll events.
#include <cstdint>

namespace lmsb::launcher {

// What an epoll event is about: the daemon, the stop descriptor, the mount desk, a guest's end, its lack of memory, or
// the end of what changes its limits; the end of what empties the store's trash, or of what copies or syncs disks.
enum class Source : std::uint64_t { daemon = 1, stop, desk, guest, memory, change, sweeper, job };
inline constexpr unsigned kSourceShift = 56;
inline std::uint64_t tag(Source source, std::uint64_t value) {
  return static_cast<std::uint64_t>(source) << kSourceShift | value;
}

}  // namespace lmsb::launcher
