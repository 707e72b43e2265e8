// The fleet's part in snapshots as files: processes of the launcher's that read or make one (control/archiver.h).
#include <cerrno>

#include "control/fleet.h"

namespace lmsb::control {
namespace {

Error of_archive(const Error& error, const std::string& snapshot) {
  if (error.slug() == "disk_lost")
    return Error(ErrorCode::not_found, "no snapshot " + snapshot).with_slug("snapshot_not_found");
  if (error.sys_errno() == EAGAIN)
    return Error(ErrorCode::resource_exhausted, "too many snapshots are being exported and imported")
        .with_slug("sandbox_busy")
        .with_hint("try again when one of them has ended");
  return error;
}

}  // namespace

io::Task<std::unique_ptr<Archiver>> Fleet::archive(std::string snapshot, guest_protocol::ArchiveWay way, Bytes most,
                                                   Capacity::Share room) {
  if (draining_) co_return daemon_ends();
  if (launcher_gone_) co_return launcher_gone();
  const std::string job = SandboxId::create().str();
  LMSB_CO_TRY(const std::uint32_t request, client_.send_archive(job, snapshot, way, most, Bytes(room.amount().memory)));
  send_rest();
  ++in_flight_;
  const io::Deadline deadline = io::Deadline::in(options_.launch_timeout);
  auto answer = co_await Fleet::launched(request, sandbox::LauncherClient::Disk::remove, deadline);
  --in_flight_;
  changed_.notify_all();
  if (!answer.ok()) co_return of_archive(answer.error(), snapshot);
  sandbox::LaunchedSandbox launched = *std::move(answer);
  Archiver::Release release = [weak = std::weak_ptr<Fleet*>(self_)](std::uint64_t serial, auto disk,
                                                                    Capacity::Share held) {
    if (const auto fleet = weak.lock()) (*fleet)->release(serial, disk, std::move(held));
  };
  co_return std::make_unique<Archiver>(loop_, std::move(launched), std::move(room), std::move(release));
}

}  // namespace lmsb::control
