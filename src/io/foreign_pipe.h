#pragma once
// ForeignPipe: our end of a pipe whose other end is held by somebody who is not trusted.
//
// A pipe has a lock, and whoever has either end can keep it: splice(2) and sendfile(2) hold it while they wait for
// octets that may never come, and a process whom the kernel gives no time holds it where it stands. read(2), write(2),
// splice(2), FIONREAD, F_SETPIPE_SZ and close(2) then wait for it, also without O_NONBLOCK having a say, and no signal
// ends that wait. So the loop's thread does none of these: threads do (io/pipe_hands.h), one piece at a time. poll(2)
// takes no lock: the end of what there is to read is what it says of a pipe that is empty and has no writer. That
// somebody has no end of it now does not mean that he has none a moment later: a descriptor of O_PATH counts for
// neither end, and leads to both by /proc/self/fd.
//
// A pipe whose lock is held is a silent one, and no more than that: a program may well wait like this for octets of the
// network. `evict` is called only where hands have run out, or where nobody reads a pipe any more (see PipeHands). Who
// reads what we write is not ended because that was all.
//
// One task at a time; a pipe is read or relayed, never both. After write_all() has ended with an Error nothing more may
// be written. One loop, one thread; the loop outlives it. The program must ignore SIGPIPE. No call waits in the kernel.
#include <cstddef>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/unique_fd.h"
#include "io/deadline.h"
#include "io/pipe_hands.h"
#include "io/pipe_relay.h"
#include "io/task.h"

namespace lmsb::io {

class ForeignPipe {
 public:
  using Evict = PipeHands::Evict;
  static constexpr std::size_t kMost = 256UL * 1024;  // of one read

  ForeignPipe() = default;
  ForeignPipe(boost::asio::io_context& loop, UniqueFd end, Evict evict = {});
  // What is on its way is lost. Closes the end, perhaps later.
  ~ForeignPipe();
  ForeignPipe(ForeignPipe&&) noexcept = default;
  ForeignPipe& operator=(ForeignPipe&& other) noexcept;
  explicit operator bool() const { return state_ != nullptr; }

  // What is there, at most `size` octets and kMost; waits until there is something. "" is the end. A later read
  // gives what an earlier one, which ended with an Error, did not wait for. Errors: deadline_exceeded, cancelled, the
  // kernel's.
  Task<std::string> read(std::size_t size = kMost, Deadline deadline = Deadline::never());
  // Has `to`, which holds nothing, take what is there, at most `size` octets; 0 is the end. Nobody touches `to`
  // before this has ended, nor after an Error. Else as read().
  Task<std::size_t> relay(std::shared_ptr<PipeRelay> to, std::size_t size, Deadline deadline = Deadline::never());
  // Writes all, waiting while the other end is slow. Errors: also EPIPE.
  Task<void> write_all(std::string octets, Deadline deadline = Deadline::never());

  // Whether somebody keeps its lock: a hand was sent some time ago (100 ms), and has not come back.
  bool is_held() const;
  // Of a reading end: whether nothing is in it, nor on its way.
  bool is_empty() const;
  // Has whoever holds the lock ended.
  void want_back();
  // Ends the waits in progress with `cancelled`; nothing more can be written.
  void cancel();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lmsb::io
