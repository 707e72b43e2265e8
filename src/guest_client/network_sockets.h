#pragma once
// NetworkSockets: the two sockets of a sandbox's network namespace that a gate serves (docs/adr/0038), on their way
// from the guest to the gate. They are the guest's word: TCP and UDP over IPv4, and nothing else is known of them:
// whether calls wait, and how long closing lingers, is their owner's, too.
#include "base/unique_fd.h"

namespace lmsb::guest_client {

class NetworkSockets {
 public:
  NetworkSockets() = default;
  NetworkSockets(UniqueFd listener, UniqueFd names) : listener_(std::move(listener)), names_(std::move(names)) {}
  // Without waiting for whatever its owner may have set.
  ~NetworkSockets();
  NetworkSockets(NetworkSockets&&) noexcept = default;
  NetworkSockets& operator=(NetworkSockets&&) = delete;

  BorrowedFd listener() const { return listener_; }
  BorrowedFd names() const { return names_; }

 private:
  UniqueFd listener_;
  UniqueFd names_;
};

}  // namespace lmsb::guest_client
