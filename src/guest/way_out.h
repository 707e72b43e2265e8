#pragma once
// WayOut: what a sandbox's network namespace needs so that its gate can serve it (docs/adr/0038): an address, every
// other address made local, a rule that has connections to them end at one socket, and a socket for names. No route
// leads out of the namespace, so nothing leaves it if the gate is not there.
//
// Allocation-free. open() needs CAP_NET_ADMIN in the namespace, which lo is up in; what it makes stays without.
#include "base/unique_fd.h"

namespace lmsb::guest {

class WayOut {
 public:
  // Returns 0 or an errno: the kernel may lack nftables, or its transparent proxies.
  int open();
  bool is_open() const { return static_cast<bool>(names_); }
  // Nothing listens any more: what is asked for outside is refused at once. Whoever has connections keeps them.
  void close_listener() const;
  // For the daemon: bound, and not listening.
  int listener() const { return listener_.get(); }
  int names() const { return names_.get(); }

 private:
  UniqueFd listener_;
  UniqueFd names_;
};

}  // namespace lmsb::guest
