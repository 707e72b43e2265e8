#pragma once
// SudoDoor: where users of a sandbox with Profile::root knock for root (guest_protocol/sudo.h). The guest neither
// accepts a connection nor reads a word: what a caller passes could hold up whoever takes it or lets go of it. It looks
// whether somebody waits, and starts a command of root that does the rest, one after the other: the next when the one
// before has said whom it has let in. Callers wait in the socket's queue.
//
// Allocation-free; nothing blocks. Times are CLOCK_BOOTTIME, in milliseconds.
#include <cstdint>
#include <sys/types.h>

#include "base/unique_fd.h"

namespace lmsb::guest {

class SudoDoor {
 public:
  // Before any command is there. Returns 0 or an errno.
  int open();
  // For good. The socket stays: what waits in it may carry descriptors, which nobody may wait for who lets go of them.
  void close() { is_closed_ = true; }

  // To be waited for by poll(2); -1: not now, or there is none. `is_full`: as many serve as may.
  int socket(std::uint64_t now, bool is_full) const;

  // What who serves gets as stdin, and as stdout: an eventfd, into which it writes its caller's number. Nobody can hold
  // up who reads that or closes it; a pipe has a lock (io/foreign_pipe.h).
  int listener() const { return listener_.get(); }
  int make_answer();  // -1 with errno

  // It was started.
  void note_start(pid_t server, std::uint64_t now);
  // Who was, and has not said yet whom it has let in; -1: nobody.
  pid_t server() const { return server_; }
  // Becomes readable when it has; -1: nobody is to.
  int answer() const { return server_ < 0 ? -1 : answer_.get(); }
  // Whom it has let in, as it says; 0: nobody yet.
  pid_t take_caller();
  // It has ended.
  void note_end() { server_ = -1; }

  // Nobody could be started, or found anybody to serve.
  void pause(std::uint64_t now);
  // When it opens again by itself; 0: it waits for no time.
  std::uint64_t opens_ms(std::uint64_t now) const;

 private:
  UniqueFd listener_;
  UniqueFd answer_;
  pid_t server_ = -1;
  bool is_closed_ = false;
  std::uint64_t spent_until_ms_ = 0;  // each start takes an interval, ahead of time
};

}  // namespace lmsb::guest
