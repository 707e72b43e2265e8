#pragma once
// CommandInput: the stdin of a command that is followed, written to while it runs. It takes what the command reads, and
// what a pipe holds besides. Whoever follows the command holds it: with him it is closed. One loop, one thread.
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "base/unique_fd.h"
#include "io/event.h"
#include "io/foreign_pipe.h"
#include "io/task.h"

namespace lmsb::control {

class CommandInput {
 public:
  // `loop` outlives it.
  explicit CommandInput(boost::asio::io_context& loop) : loop_(loop), free_(loop) {}
  CommandInput(const CommandInput&) = delete;
  CommandInput& operator=(const CommandInput&) = delete;

  // The end that the command reads, once. Error: the kernel's.
  Result<UniqueFd> make();
  // From when the command has been started: who keeps the pipe from us is ended by `evict` (io/foreign_pipe.h).
  void begin(io::ForeignPipe::Evict evict);
  // Waits until what others write is written, and then until the command has read it, but for what a pipe holds.
  // Errors: input_closed (it reads no more, or nothing more may be written), cancelled (the command has ended). `self`
  // by value: who follows it may go.
  static io::Task<void> write(std::shared_ptr<CommandInput> self, std::string octets, bool close);
  // Nothing more is written; who waits for that hears it.
  void end();

 private:
  boost::asio::io_context& loop_;
  UniqueFd end_;  // until begin()
  io::ForeignPipe pipe_;
  bool is_writing_ = false;
  io::Event free_;
};

}  // namespace lmsb::control
