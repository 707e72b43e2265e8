#include "http/gather.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

#include "base/assert.h"

namespace lmsb::http {

void Gather::add(std::string_view text) {
  if (text.empty()) return;
  LMSB_ASSERT(end_ < parts_.size());
  parts_[end_++] = iovec{const_cast<char*>(text.data()), text.size()};
}

Gather::Sent Gather::send_now(BorrowedFd socket, Then then) {
  const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (then == Then::more ? MSG_MORE : 0);
  while (begin_ < end_) {
    msghdr message{};
    message.msg_iov = parts_.data() + begin_;
    message.msg_iovlen = end_ - begin_;
    const ssize_t count = ::sendmsg(socket.get(), &message, flags);
    if (count >= 0) {
      took(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return Sent::full;
    } else if (errno != EINTR) {
      return Sent::failed;
    }
  }
  return Sent::all;
}

std::size_t Gather::copy_to(char* room, std::size_t size) const {
  std::size_t copied = 0;
  for (std::size_t i = begin_; i < end_ && copied < size; ++i) {
    const std::size_t count = std::min(parts_[i].iov_len, size - copied);
    std::memcpy(room + copied, parts_[i].iov_base, count);
    copied += count;
  }
  return copied;
}

std::size_t Gather::size() const {
  std::size_t octets = 0;
  for (std::size_t i = begin_; i < end_; ++i) octets += parts_[i].iov_len;
  return octets;
}

void Gather::took(std::size_t count) {
  while (begin_ < end_ && count >= parts_[begin_].iov_len) count -= parts_[begin_++].iov_len;
  if (begin_ == end_) return;
  parts_[begin_].iov_base = static_cast<char*>(parts_[begin_].iov_base) + count;
  parts_[begin_].iov_len -= count;
}

}  // namespace lmsb::http
