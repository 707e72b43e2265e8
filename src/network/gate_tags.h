#pragma once
// What the gate's epoll descriptor says of each that it watches. Private to the gate.
#include <cstdint>
#include <sys/epoll.h>

namespace lmsb::network {

enum class TagKind : std::uint8_t { channel, listener, names, lookup, client, server };

constexpr unsigned kTagShift = 56;
inline std::uint64_t tag_of(TagKind kind, std::uint64_t number = 0) {
  return static_cast<std::uint64_t>(kind) << kTagShift | number;
}
inline TagKind kind_of(std::uint64_t tag) { return static_cast<TagKind>(tag >> kTagShift); }
inline std::uint64_t number_of(std::uint64_t tag) { return tag & ((std::uint64_t{1} << kTagShift) - 1); }

inline bool watch_for_input(int epoll, int fd, std::uint64_t tag) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace lmsb::network
