#pragma once
// SEQPACKET sockets that carry one message with descriptors: the channels between daemon, launcher and guest.
// Header-only and allocation-free: the guest and code after fork use it too. Blocking follows the socket's own mode.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/unique_fd.h"

namespace lmsb {

constexpr std::size_t kMaxMessageFds = 32;

// Descriptors that came with a message. Owns them: what is not taken is closed.
struct ReceivedFds {
  std::array<UniqueFd, kMaxMessageFds> fds;
  std::size_t count = 0;
};

// A connected pair, close-on-exec; false with errno on failure.
inline bool message_socket_pair(UniqueFd& a, UniqueFd& b, int extra_flags = 0) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | extra_flags, 0, pair.data()) < 0) return false;
  a.reset(pair[0]);
  b.reset(pair[1]);
  return true;
}

// Sends `parts` as one message with `fd_count` descriptors (borrowed). False with errno on failure; a full socket is
// EAGAIN when it is non-blocking.
inline bool send_message(int socket, const iovec* parts, std::size_t part_count, const int* fds = nullptr,
                         std::size_t fd_count = 0) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxMessageFds)> control{};
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);  // NOLINT(cppcoreguidelines-pro-type-const-cast): C interface
  message.msg_iovlen = part_count;
  if (fd_count > 0) {
    if (fd_count > kMaxMessageFds) return errno = EINVAL, false;
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    std::memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
  }
  ssize_t sent = 0;
  do sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

// Receives one message into `buffer`. Returns its size, 0 at the end of the stream, -1 with errno: EMSGSIZE when the
// message or its descriptors did not fit (it is lost and its descriptors are closed).
inline ssize_t receive_message(int socket, void* buffer, std::size_t size, ReceivedFds& received, int flags = 0) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxMessageFds)> control{};
  iovec part{buffer, size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do got = ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0) return -1;
  received.count = 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      UniqueFd owned(fd);
      if (received.count < kMaxMessageFds) received.fds[received.count++] = std::move(owned);
    }
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    received = ReceivedFds{};
    errno = EMSGSIZE;
    return -1;
  }
  return got;
}

// Has the kernel (6.16 and later) refuse messages with descriptors to `socket`: their sender gets EPERM. False when it
// cannot; call it all the same, best effort. Whoever passes a descriptor chooses what letting go of it waits for: a
// lingering TCP socket blocks the last one to close it for as long as its owner has set, and that is the receiver, also
// when it takes the message without its descriptors. On older kernels a peer can therefore hold its receiver up, until
// a signal (SIGKILL too) ends that wait.
inline bool refuse_descriptors(int socket) {
  constexpr int kPassRights = 83;  // SO_PASSRIGHTS
  const int no = 0;
  return ::setsockopt(socket, SOL_SOCKET, kPassRights, &no, sizeof no) == 0;
}

// Receives one message of which only the bytes are wanted: descriptors that came with it are never installed. Returns
// its size, 0 at the end of the stream, -1 with errno: EMSGSIZE when it did not fit (it is lost).
inline ssize_t receive_without_descriptors(int socket, void* buffer, std::size_t size, int flags = 0) {
  ssize_t got = 0;
  do got = ::recv(socket, buffer, size, flags | MSG_TRUNC);
  while (got < 0 && errno == EINTR);
  if (got > static_cast<ssize_t>(size)) return errno = EMSGSIZE, -1;
  return got;
}

}  // namespace lmsb
