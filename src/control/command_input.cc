#include "control/command_input.h"

#include <cerrno>
#include <sys/stat.h>
#include <utility>

#include "base/units.h"
#include "io/spawn.h"
#include "os/make_pipe.h"

namespace lmsb::control {
namespace {

Error input_closed() {
  return Error(ErrorCode::failed_precondition, "the command does not read its stdin")
      .with_slug("input_closed")
      .with_hint("it has ended, or has closed it, or that was said to be all");
}

Error input_too_large() {
  return Error(ErrorCode::invalid_argument,
               "more than " + format_bytes(Bytes(CommandInput::kRoom)) + " are written at once")
      .with_slug("input_too_large")
      .with_hint("write it piece by piece");
}

Error input_full() {
  return Error(ErrorCode::deadline_exceeded, "the command has not read what was written before")
      .with_slug("input_full")
      .with_hint("nothing of this was taken: write it again");
}

}  // namespace

Result<UniqueFd> CommandInput::make() {
  LMSB_TRY(os::PipeEnds pipe, os::make_pipe());
  pipe_ = io::ForeignPipe(loop_, std::move(pipe.write), [evict = evict_](int times) {
    if (*evict) (*evict)(times);
  });
  // The command may open its input by name (/dev/stdin), for reading and no more.
  if (::fchmod(pipe.read.get(), 0444) < 0) return Error::from_errno(errno, "make a pipe");
  return std::move(pipe.read);
}

void CommandInput::begin(const std::shared_ptr<CommandInput>& input, io::ForeignPipe::Evict evict) {
  *input->evict_ = std::move(evict);
  io::spawn(input->loop_, carry(input));
}

io::Task<void> CommandInput::write(std::shared_ptr<CommandInput> self, std::string octets, bool close,
                                   io::Deadline deadline) {
  if (octets.size() > kRoom) co_return input_too_large();
  while (!self->takes_no_more() && self->size_ + octets.size() > kRoom) {
    Status changed = co_await self->changed_.wait(deadline);
    if (!changed.ok() && changed.error().code() == ErrorCode::deadline_exceeded) co_return input_full();
    if (!changed.ok()) co_return changed;
  }
  if (self->is_closed_ && close && octets.empty()) co_return Status();
  if (self->takes_no_more()) co_return input_closed();
  self->size_ += octets.size();
  if (!octets.empty()) self->waiting_.push_back(std::move(octets));
  self->is_closed_ = close;
  self->changed_.notify_all();
  co_return Status();
}

// Until all has been written, or the command reads no more.
io::Always<void> CommandInput::carry(std::shared_ptr<CommandInput> self) {
  while (!self->is_over_) {
    if (self->waiting_.empty()) {
      if (self->is_closed_) break;
      (void)co_await self->changed_.wait();
      continue;
    }
    std::string next = std::move(self->waiting_.front());
    self->waiting_.pop_front();
    const std::size_t size = next.size();
    const Status written = co_await self->pipe_.write_all(std::move(next));
    if (!written.ok()) self->is_over_ = true;
    self->size_ -= size;
    self->changed_.notify_all();
  }
  self->pipe_ = {};
}

void CommandInput::end() {
  is_over_ = true;
  pipe_.cancel();
  changed_.notify_all();
}

}  // namespace lmsb::control
