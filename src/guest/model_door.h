#pragma once
// ModelDoor: the socket by which programs of a sandbox reach its models (docs/adr/0046): 127.0.0.1, at the port where
// they look for such a server. The daemon listens on it and accepts; the guest keeps it, so that no program has the
// port while no daemon is there.
//
// Allocation-free.
#include "base/unique_fd.h"

namespace lmsb::guest {

class ModelDoor {
 public:
  // Makes it, once. Returns 0 or an errno.
  int open();
  // -1: there is none.
  int socket() const { return socket_.get(); }
  // Who asks now is refused at once.
  void close() const;

 private:
  UniqueFd socket_;
};

}  // namespace lmsb::guest
