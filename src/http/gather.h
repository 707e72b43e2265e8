#pragma once
// Gather: what is to be written to a socket, lying in several places: a head and a body, a piece and what frames it.
// Sent by one system call as long as the socket takes it; nothing is copied.
#include <array>
#include <cstdint>
#include <string_view>
#include <sys/uio.h>

#include "base/unique_fd.h"

namespace lmsb::http {

class Gather {
 public:
  enum class Sent : std::uint8_t { all, full, failed };  // full: the socket takes no more at the moment

  // `text` outlives the sending. Empty ones are left out; four at most.
  void add(std::string_view text);
  // `more`: what follows belongs to it, and the kernel may wait for that.
  enum class Then : std::uint8_t { nothing, more };
  Sent send_now(BorrowedFd socket, Then then = Then::nothing);

  // For who sends it by other means (TLS): copies the first octets of what is left, at most `size`; how many.
  std::size_t copy_to(char* room, std::size_t size) const;
  // Octets that are left.
  std::size_t size() const;
  // So many of what is left are sent.
  void took(std::size_t count);

 private:
  std::array<iovec, 4> parts_{};
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace lmsb::http
