#pragma once
// SudoDoor: where users of a sandbox with Profile::root knock for root (guest_protocol/sudo.h). The guest neither
// accepts a connection nor reads a word: what a caller passes could hold up whoever takes it or lets go of it. It looks
// whether somebody waits, and starts a command of root that does the rest, one after the other: the next when the one
// before has let its caller in. Callers wait in the socket's queue.
//
// Allocation-free. Times are CLOCK_BOOTTIME, in milliseconds.
#include <cstdint>

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
  // Hangs up (POLLHUP) when who was started has let its caller in, or ended; -1: nobody was. Not to be read, nor closed
  // before: root inside may have got hold of the other end, and keep the pipe's lock (io/foreign_pipe.h).
  int answering() const { return answering_.get(); }

  // What who serves gets as stdin.
  int listener() const { return listener_.get(); }
  // Somebody was started, `out` is the reading end of its stdout.
  void note_start(UniqueFd out, std::uint64_t now);
  void note_let_in() { answering_.reset(); }
  // Nobody could be started, or found anybody to serve.
  void pause(std::uint64_t now);
  // When it opens again by itself; 0: it waits for no time.
  std::uint64_t opens_ms(std::uint64_t now) const;

 private:
  UniqueFd listener_;
  UniqueFd answering_;
  bool is_closed_ = false;
  std::uint64_t spent_until_ms_ = 0;  // each start takes an interval, ahead of time
};

}  // namespace lmsb::guest
