#include "control/archiver.h"

#include <cerrno>
#include <sys/socket.h>

#include "io/deadline.h"
#include "os/message_socket.h"

namespace lmsb::control {
namespace {

using std::chrono::minutes;

constexpr minutes kPiece{2};    // the next octets of it, or a place for ours
constexpr minutes kReport{30};  // after the last of them: everything is on the disk then
constexpr std::size_t kPieceSize = 64U * 1024U;

Error lost(const std::string& why) {
  return Error(ErrorCode::unavailable, "reading or writing the snapshot's files was ended: " + why)
      .with_slug("snapshot_transfer_lost")
      .with_hint("try again; the daemon's log may say more");
}

// What a wait that failed means here.
Error of_wait(const Error& error) {
  return error.code() == ErrorCode::deadline_exceeded ? lost("nothing has moved for minutes") : error;
}

}  // namespace

Archiver::Archiver(boost::asio::io_context& loop, sandbox::LaunchedSandbox launched, Release release)
    : serial_(launched.serial),
      release_(std::move(release)),
      channel_(std::move(launched.channel)),
      watch_(loop.get_executor(), channel_),
      stream_(std::in_place, loop.get_executor(), std::move(launched.stream)) {}

Archiver::~Archiver() { release_(serial_, disk_); }

io::Task<std::string> Archiver::read() {
  std::string piece(kPieceSize, '\0');
  const auto size = co_await stream_->read_some(piece.data(), piece.size(), io::Deadline::in(kPiece));
  if (!size.ok()) co_return of_wait(size.error());
  piece.resize(*size);
  co_return piece;
}

io::Task<bool> Archiver::write(std::string octets) {
  const Status written = co_await stream_->write_all(std::move(octets), io::Deadline::in(kPiece));
  if (written.ok()) co_return true;
  if (written.error().sys_errno() == EPIPE) co_return false;
  co_return of_wait(written.error());
}

io::Task<guest_protocol::ArchiveReport> Archiver::report() {
  const io::Deadline deadline = io::Deadline::in(kReport);
  guest_protocol::ArchiveReport report;
  for (;;) {
    const ssize_t size = receive_without_descriptors(channel_.get(), &report, sizeof report, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) {
      const Status readable = co_await watch_.readable(deadline);
      if (!readable.ok()) co_return of_wait(readable.error());
      continue;
    }
    const bool is_whole = size == static_cast<ssize_t>(sizeof report) &&
                          report.magic == guest_protocol::kArchiveMagic && report.path_size <= report.path.size();
    if (!is_whole) co_return lost("its process was killed, for want of memory maybe");
    co_return report;
  }
}

}  // namespace lmsb::control
