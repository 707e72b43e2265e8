#pragma once
// PortSocket: a connection to a port of a sandbox, made by its guest. What comes by it is hostile, and so is how it
// behaves: read and write it without waiting (io/socket_stream.h).
//
// When the channel closes (the sandbox is to end, or its guest is gone) the connection ends in both directions, so that
// whoever waits for it hears of that. One loop, one thread.
#include <memory>

#include "base/unique_fd.h"

namespace lmsb::guest_client {

struct ChannelState;

class PortSocket {
 public:
  // Takes a connection that has been looked at (os/tcp_socket.h).
  PortSocket(const std::shared_ptr<ChannelState>& channel, UniqueFd fd);
  ~PortSocket();
  PortSocket(PortSocket&&) noexcept = default;
  PortSocket& operator=(PortSocket&&) = delete;

  BorrowedFd fd() const { return fd_; }

 private:
  std::weak_ptr<ChannelState> channel_;
  UniqueFd fd_;
};

}  // namespace lmsb::guest_client
