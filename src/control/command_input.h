#pragma once
// CommandInput: the stdin of a command that is followed, written to while it runs. What is written waits here, up to
// kRoom, until the command reads it. It ends when that was said to be all, or with the command: never because somebody
// who writes has gone, so what the command takes for complete is complete. One loop, one thread.
#include <deque>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "base/unique_fd.h"
#include "io/deadline.h"
#include "io/event.h"
#include "io/foreign_pipe.h"
#include "io/task.h"

namespace lmsb::control {

class CommandInput {
 public:
  static constexpr std::size_t kRoom = 128UL * 1024;  // the daemon's memory: there may be one for each connection

  // `loop` outlives it.
  explicit CommandInput(boost::asio::io_context& loop) : loop_(loop), changed_(loop) {}
  CommandInput(const CommandInput&) = delete;
  CommandInput& operator=(const CommandInput&) = delete;

  // The end that the command reads, once. Error: the kernel's.
  Result<UniqueFd> make();
  // From when `input`'s command has been started: `evict` ends it where it keeps the pipe from us (io/foreign_pipe.h).
  static void begin(const std::shared_ptr<CommandInput>& input, io::ForeignPipe::Evict evict);
  // Writes in progress at the same time come in any order. Takes all of `octets`, once there is room for them, or
  // nothing; to close it again is no error. Errors: input_too_large (more than kRoom); input_full (deadline_exceeded:
  // there was no room by then; write it again); input_closed; cancelled.
  static io::Task<void> write(std::shared_ptr<CommandInput> self, std::string octets, bool close,
                              io::Deadline deadline);
  // The command has ended: nothing more is written.
  void end();

 private:
  static io::Always<void> carry(std::shared_ptr<CommandInput> self);
  bool takes_no_more() const { return is_over_ || is_closed_; }

  boost::asio::io_context& loop_;
  io::ForeignPipe pipe_;
  std::shared_ptr<io::ForeignPipe::Evict> evict_ = std::make_shared<io::ForeignPipe::Evict>();
  std::deque<std::string> waiting_;
  std::size_t size_ = 0;    // of what waits
  bool is_closed_ = false;  // what waits is all
  bool is_over_ = false;
  io::Event changed_;
};

}  // namespace lmsb::control
