#include "sandbox/launcher_client.h"

#include <cerrno>
#include <string>

#include "os/message_socket.h"

namespace lmsb::sandbox {
namespace {

Error out_of_descriptors() {
  return Error(ErrorCode::resource_exhausted, "the daemon has as many open files as it may")
      .with_slug("too_many_sandboxes")
      .with_hint("delete sandboxes, or start the daemon with a higher limit of open files (ulimit -n)");
}

Status set_name(DiskName& name, const std::string& id) {
  if (id.size() >= name.size()) return Error(ErrorCode::invalid_argument, "no id of a disk: " + id);
  (void)id.copy(name.data(), id.size());
  return {};
}

Error launch_error(const LauncherAnswer& answer) {
  if (answer.failed_step == LauncherStep::limits || answer.failed_step == LauncherStep::not_found)
    return Error::from_errno(answer.error, std::string("launcher: ") + to_string(answer.failed_step));
  std::string step = std::string("launch: ") + to_string(answer.failed_step);
  if (answer.failed_step == LauncherStep::lease)
    return Error(ErrorCode::resource_exhausted, step + ": no free id range").with_slug("too_many_sandboxes");
  if (answer.failed_step == LauncherStep::disk && (answer.error == ENOSPC || answer.error == EDQUOT))
    return Error(ErrorCode::resource_exhausted, "there is no room for another disk")
        .with_slug("store_full")
        .with_hint("delete sandboxes, snapshots or volumes, or make room on the file system of the data directory");
  if (answer.failed_step == LauncherStep::disk && answer.error == EROFS)
    return Error(ErrorCode::unavailable, "the file system of sandboxes' disks has failed, and can only be read")
        .with_slug("store_failed")
        .with_hint(
            "its disk had an error, or no room: the kernel's log says which (dmesg). Mend that, stop all kept "
            "sandboxes, and start lm-sandbox again; what needs no disk of its own still runs");
  if (answer.failed_step == LauncherStep::disk && answer.error == EBUSY)
    return Error(ErrorCode::failed_precondition, "the sandbox's disk is in use")
        .with_slug("disk_in_use")
        .with_hint(
            "it runs since a daemon that served from another run directory: start that one, or end its processes");
  if (answer.failed_step == LauncherStep::mounts && answer.error == EROFS)
    return Error(ErrorCode::unsupported,
                 "a daemon that runs without root shows directories of its user, and lets none be "
                 "written to: the ids of files cannot be mapped")
        .with_slug("mount_read_only")
        .with_hint("ask for it read-only (-v DIR:TARGET:ro), and copy out what is to stay (lm-sandbox cp)");
  if (answer.failed_step == LauncherStep::mounts && answer.error == EOPNOTSUPP)
    return Error(ErrorCode::unsupported,
                 "this kernel has no overlays in memory for a daemon that runs without root: stored images cannot be "
                 "used")
        .with_slug("image_not_possible")
        .with_hint("use image host, a kernel of 6.6 or newer, or run the daemon as root");
  if (answer.failed_step == LauncherStep::mounts && answer.error == EXDEV)
    return Error(ErrorCode::unsupported,
                 "another file system is mounted below that directory, and a daemon that runs "
                 "without root cannot leave it out")
        .with_slug("mount_not_possible")
        .with_hint("name a directory that has none below it");
  if (answer.failed_step == LauncherStep::mounts && answer.error == ENODEV)
    return Error(ErrorCode::failed_precondition, "the disk of a volume is gone")
        .with_slug("volume_lost")
        .with_hint("delete the sandboxes that have it; from a snapshot of one another is made without it");
  if (answer.failed_step == LauncherStep::mounts && answer.error == ENOKEY)
    return Error(ErrorCode::invalid_argument, "no directory waits for a mount's token")
        .with_slug("invalid_mount_token")
        .with_hint("a token is good once, and for a minute: hand the directory over again");
  if (answer.failed_step == LauncherStep::disk && answer.error == ENOENT)
    return Error(ErrorCode::failed_precondition, "the sandbox's disk is gone").with_slug("disk_lost");
  return Error::from_errno(answer.error, step);
}

}  // namespace

Error launcher_gone() { return Error(ErrorCode::unavailable, "the launcher is gone").with_slug("launcher_lost"); }

const char* to_string(LauncherStep step) {
  switch (step) {
    case LauncherStep::none: return "none";
    case LauncherStep::validate: return "validate";
    case LauncherStep::lease: return "lease ids";
    case LauncherStep::cgroups: return "cgroups";
    case LauncherStep::clone: return "clone";
    case LauncherStep::id_maps: return "id maps";
    case LauncherStep::mounts: return "mounts";
    case LauncherStep::setup: return "hand over the setup";
    case LauncherStep::not_found: return "no such sandbox";
    case LauncherStep::limits: return "change limits";
    case LauncherStep::disk: return "disk";
  }
  return "unknown";
}

LauncherClient::LauncherClient(UniqueFd socket) : socket_(std::move(socket)) {}

// In order: behind what waits already.
Status LauncherClient::send(const void* message, std::size_t size) {
  unsent_.emplace_back(static_cast<const char*>(message), size);
  return flush();
}

Status LauncherClient::flush() {
  for (; !unsent_.empty(); unsent_.pop_front()) {
    const iovec part{unsent_.front().data(), unsent_.front().size()};
    if (send_message(socket_.get(), &part, 1)) continue;
    if (errno == EAGAIN) return {};
    unsent_.clear();
    return launcher_gone();
  }
  return {};
}

Status LauncherClient::check_room() const {
  if (unsent_.size() < kMaxUnsent) return {};
  return Error(ErrorCode::resource_exhausted, "the launcher does not keep up with requests")
      .with_slug("too_many_sandboxes")
      .with_hint("try again in a moment");
}

Result<std::uint32_t> LauncherClient::send_launch(const LaunchPlan& plan) {
  LMSB_CHECK(check_room());
  const LaunchRequest request{{LauncherOperation::launch, next_request_++}, plan};
  LMSB_CHECK(send(&request, sizeof request));
  return request.header.request;
}

Result<std::uint32_t> LauncherClient::send_destroy(std::uint64_t serial, Disk disk) {
  const DestroyRequest request{{LauncherOperation::destroy, next_request_++}, serial, disk == Disk::keep ? 1U : 0U, 0};
  LMSB_CHECK(send(&request, sizeof request));
  return request.header.request;
}

Result<std::uint32_t> LauncherClient::send_disk(LauncherOperation operation, const std::string& id) {
  LMSB_CHECK(check_room());
  DiskRequest request{{operation, next_request_++}};
  LMSB_CHECK(set_name(request.id, id));
  LMSB_CHECK(send(&request, sizeof request));
  return request.header.request;
}

Result<std::uint32_t> LauncherClient::send_remove_disk(const std::string& id) {
  return send_disk(LauncherOperation::remove_disk, id);
}

Result<std::uint32_t> LauncherClient::send_next_disk(const std::string& after) {
  return send_disk(LauncherOperation::next_disk, after);
}

Result<std::uint32_t> LauncherClient::send_claim_disk(const std::string& id) {
  return send_disk(LauncherOperation::claim_disk, id);
}

Result<std::uint32_t> LauncherClient::send_sweep_disks() { return send_disk(LauncherOperation::sweep_disks, ""); }

Result<std::uint32_t> LauncherClient::send_check_store() { return send_disk(LauncherOperation::check_store, ""); }

Result<std::uint32_t> LauncherClient::send_settle_disk(const std::string& id) {
  return send_disk(LauncherOperation::settle_disk, id);
}

Result<std::uint32_t> LauncherClient::send_weigh_disk(const std::string& id) {
  return send_disk(LauncherOperation::weigh_disk, id);
}

Result<std::uint32_t> LauncherClient::send_open_network(const std::string& id) {
  return send_disk(LauncherOperation::open_network, id);
}

Result<std::uint32_t> LauncherClient::send_open_gate(const std::string& id) {
  LMSB_CHECK(check_room());
  GateRequest request{{LauncherOperation::open_gate, next_request_++}};
  LMSB_CHECK(set_name(request.id, id));
  LMSB_CHECK(send(&request, sizeof request));
  return request.header.request;
}

Result<std::uint32_t> LauncherClient::send_next_left(const std::string& after) {
  return send_disk(LauncherOperation::next_left, after);
}

Result<std::uint32_t> LauncherClient::send_take_up(const std::string& id) {
  return send_disk(LauncherOperation::take_up, id);
}

Result<std::uint32_t> LauncherClient::send_next_stray(const std::string& after) {
  return send_disk(LauncherOperation::next_stray, after);
}

Result<std::uint32_t> LauncherClient::send_copy(const std::string& from, const std::string& to, bool replaces) {
  LMSB_CHECK(check_room());
  CopyRequest request{{LauncherOperation::copy_disk, next_request_++}};
  LMSB_CHECK(set_name(request.from, from));
  LMSB_CHECK(set_name(request.to, to));
  request.replaces = replaces ? 1 : 0;
  LMSB_CHECK(send(&request, sizeof request));
  return request.header.request;
}

Result<std::uint32_t> LauncherClient::send_archive(const std::string& job, const std::string& snapshot,
                                                   guest_protocol::ArchiveWay way, Bytes most, Bytes memory) {
  LMSB_CHECK(check_room());
  ArchiveRequest request{{LauncherOperation::archive_disk, next_request_++}};
  LMSB_CHECK(set_name(request.job, job));
  LMSB_CHECK(set_name(request.disk, snapshot));
  request.way = way;
  request.disk_bytes = most.count();
  request.memory_bytes = memory.count();
  LMSB_CHECK(send(&request, sizeof request));
  return request.header.request;
}

Result<std::uint32_t> LauncherClient::send_sync() { return send_disk(LauncherOperation::sync_disks, ""); }

Result<std::uint32_t> LauncherClient::send_volume(LauncherOperation operation, const std::string& id, Bytes size) {
  LMSB_CHECK(check_room());
  VolumeRequest request{{operation, next_request_++}};
  LMSB_CHECK(set_name(request.id, id));
  request.bytes = size.count();
  LMSB_CHECK(send(&request, sizeof request));
  return request.header.request;
}

Result<std::uint32_t> LauncherClient::send_make_volume(const std::string& id, Bytes size) {
  return send_volume(LauncherOperation::make_volume, id, size);
}

Result<std::uint32_t> LauncherClient::send_limit_volume(const std::string& id, Bytes size) {
  return send_volume(LauncherOperation::limit_volume, id, size);
}

Result<std::uint32_t> LauncherClient::send_limits(std::uint64_t serial, const Limits& limits) {
  LMSB_CHECK(check_room());
  const LimitRequest request{
      {LauncherOperation::limit, next_request_++}, serial, limits.memory.count(), limits.cpu_millis, limits.processes};
  LMSB_CHECK(send(&request, sizeof request));
  return request.header.request;
}

Result<std::optional<LauncherClient::Answer>> LauncherClient::receive() {
  LauncherAnswer answer{};
  ReceivedFds fds;
  const ssize_t size = receive_message(socket_.get(), &answer, sizeof answer, fds);
  if (size < 0 && errno == EAGAIN) return std::optional<Answer>();
  // The message is there, and its descriptors are not: this process has as many as it may.
  if (size < 0 && errno == EMSGSIZE && answer.serial > 0)
    return std::optional<Answer>(Answer{answer.request, out_of_descriptors(), answer.serial});
  if (size != static_cast<ssize_t>(sizeof answer)) return launcher_gone();
  if (answer.failed_step != LauncherStep::none)
    return std::optional<Answer>(Answer{answer.request, launch_error(answer)});
  LaunchedSandbox launched;
  launched.serial = answer.serial;
  launched.id_base = answer.id_base;
  launched.has_disk = answer.has_disk == 1;
  launched.can_stay = answer.can_stay == 1;
  launched.has_device_list = answer.has_device_list == 1;
  launched.has_own_nodes = answer.has_own_nodes == 1;
  launched.has_socket_limit = answer.has_socket_limit == 1;
  launched.has_memory_limit = answer.has_memory_limit == 1;
  launched.has_cpu_limit = answer.has_cpu_limit == 1;
  launched.has_process_limit = answer.has_process_limit == 1;
  launched.has_own_ids = answer.has_own_ids == 1;
  if (answer.disk.back() == '\0') launched.disk = answer.disk.data();
  const auto take = [&fds](SandboxFd which) { return std::move(fds.fds[static_cast<std::size_t>(which)]); };
  const bool is_kept = fds.count == static_cast<std::size_t>(SandboxFd::count);
  if (is_kept || fds.count == kOneShotFds) {
    launched.channel = take(SandboxFd::channel);
    launched.kill = take(SandboxFd::kill);
    launched.memory_peak = take(SandboxFd::memory_peak);
    launched.memory_events = take(SandboxFd::memory_events);
    launched.processes_peak = take(SandboxFd::processes_peak);
    launched.oom_event = take(SandboxFd::oom_event);
  }
  if (is_kept) {
    launched.freeze = take(SandboxFd::freeze);
    launched.state = take(SandboxFd::state);
    launched.memory_now = take(SandboxFd::memory_now);
    launched.processes_now = take(SandboxFd::processes_now);
    launched.processor = take(SandboxFd::processor);
  }
  if (fds.count == kNetworkFds) launched.only = std::move(fds.fds[0]);
  if (fds.count == kArchiveFds) {
    launched.channel = std::move(fds.fds[0]);
    launched.stream = std::move(fds.fds[1]);
  }
  return std::optional<Answer>(Answer{answer.request, std::move(launched)});
}

}  // namespace lmsb::sandbox
