#include "control/archiver.h"

#include <cerrno>
#include <sys/socket.h>
#include <utility>

#include "io/deadline.h"
#include "os/message_socket.h"

namespace lmsb::control {
namespace {

using std::chrono::minutes;

constexpr minutes kPiece{2};    // the next octets of it, or a place for ours
constexpr minutes kReport{30};  // after the last of them: everything is on the disk then
constexpr std::size_t kPieceSize = 64U * 1024U;

Error lost(const std::string& why) {
  return Error(ErrorCode::unavailable, "reading or writing the snapshot's files was ended")
      .with_cause(why)
      .with_slug("snapshot_transfer_lost")
      .with_hint("try again; the daemon's log may say more");
}

// What a wait that failed means here.
Error of_wait(const Error& error) {
  return error.code() == ErrorCode::deadline_exceeded ? lost("nothing has moved for minutes") : error;
}

}  // namespace

Archiver::Archiver(boost::asio::io_context& loop, sandbox::LaunchedSandbox launched, Capacity::Share room,
                   Release release)
    : process_(std::make_shared<Process>(launched.serial, std::move(room), std::move(release))),
      channel_(std::move(launched.channel)),
      watch_(loop.get_executor(), channel_),
      stream_(loop, std::move(launched.stream), [process = process_](int) {
        if (!process->has_reported) process->end();
      }) {}

void Archiver::Process::end() {
  if (const Release once = std::exchange(release, nullptr)) once(serial, disk, std::move(room));
}

io::Task<std::string> Archiver::read() {
  auto piece = co_await stream_.read(kPieceSize, io::Deadline::in(kPiece));
  if (!piece.ok()) co_return of_wait(piece.error());
  co_return *std::move(piece);
}

io::Task<bool> Archiver::write(std::string octets) {
  const Status written = co_await stream_.write_all(std::move(octets), io::Deadline::in(kPiece));
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
    if (!process_->release) co_return lost("it kept its pipe from us");
    process_->has_reported = true;
    co_return report;
  }
}

}  // namespace lmsb::control
