#include "control/command_input.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace lmsb::control {
namespace {

Error input_closed() {
  return Error(ErrorCode::failed_precondition, "the command does not read its stdin")
      .with_slug("input_closed")
      .with_hint("it has ended, or has closed it");
}

}  // namespace

Result<UniqueFd> CommandInput::make() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return Error::from_errno(errno, "make a pipe");
  UniqueFd read(ends[0]);
  end_.reset(ends[1]);
  // The command may open its input by name (/dev/stdin), for reading and no more.
  if (::fchmod(read.get(), 0444) < 0) return Error::from_errno(errno, "make a pipe");
  return read;
}

void CommandInput::begin(io::ForeignPipe::Evict evict) {
  pipe_ = io::ForeignPipe(loop_, std::move(end_), std::move(evict));
}

io::Task<void> CommandInput::write(std::shared_ptr<CommandInput> self, std::string octets, bool close) {
  while (self->is_writing_) LMSB_CO_CHECK(co_await self->free_.wait());
  if (!self->pipe_) co_return input_closed();
  self->is_writing_ = true;
  Status written;
  if (!octets.empty()) written = co_await self->pipe_.write_all(std::move(octets));
  self->is_writing_ = false;
  if (close || !written.ok()) self->end();
  self->free_.notify_all();
  if (!written.ok() && written.error().sys_errno() == EPIPE) co_return input_closed();
  co_return written;
}

void CommandInput::end() {
  pipe_.cancel();
  if (!is_writing_) pipe_ = {};
}

}  // namespace lmsb::control
