#include "control/spill.h"

#include <cerrno>
#include <sys/wait.h>

#include "os/make_pipe.h"

namespace lmsb::control {
namespace {

constexpr std::chrono::milliseconds kFinishLimit{10'000};

}  // namespace

Spill::Spill(boost::asio::io_context& loop, SandboxHandle& sandbox, std::string path, Bytes size)
    : loop_(loop), sandbox_(sandbox), path_(std::move(path)), size_(size) {}

Status Spill::start() {
  LMSB_TRY(os::PipeEnds pipe, os::make_pipe());
  guest_client::StartSpec spec;
  spec.program = guest_protocol::Program::save;
  spec.argv = {path_, std::to_string(size_.count())};
  LMSB_TRY(auto writer, sandbox_.channel().start(spec, pipe.read.get()));
  stream_ = io::ForeignPipe(loop_, std::move(pipe.write), writer.eviction());
  writer_.emplace(std::move(writer));
  return {};
}

io::Always<void> Spill::write(std::string octets) {
  if (!std::exchange(has_begun_, true)) (void)start();  // without it the answer says that nothing was kept
  if (!stream_) co_return;
  const Status written = co_await stream_.write_all(std::move(octets));
  if (!written.ok()) stream_ = {};  // its limit, or no room: the writer has ended
}

io::Always<Spill::Kept> Spill::finish() {
  if (!writer_) co_return Kept{};
  stream_ = {};
  const auto ending = co_await writer_->wait_ended(io::Deadline::in(kFinishLimit));
  if (!ending.ok() || ending->kind != guest_client::Ending::Kind::exited) co_return Kept{};
  const int status = ending->exited.status;
  if (!WIFEXITED(status)) co_return Kept{path_, false};
  const int error = WEXITSTATUS(status);
  if (error == 0) co_return Kept{path_, true};
  if (error == EFBIG || error == ENOSPC || error == EDQUOT) co_return Kept{path_, false};
  co_return Kept{};  // it could not be made
}

}  // namespace lmsb::control
