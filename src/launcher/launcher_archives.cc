// The launcher's part in snapshots as files (docs/adr/0036): archivers, which read or write a disk as a stream. Each is
// a sandbox to the rest of the launcher: it has a range of ids, a cgroup and a serial, and ends as one.
#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>

#include "launcher/filters.h"
#include "launcher/launcher.h"
#include "os/memfd.h"
#include "os/message_socket.h"
#include "sandbox/disk_id.h"

namespace lmsb::launcher {
namespace {

using guest_protocol::ArchiveSetup;
using guest_protocol::ArchiveWay;
using sandbox::LauncherStep;

constexpr const char* kName = "lm-sandbox-archiver";
constexpr std::uint32_t kProcesses = 4;
// An empty file takes some 400 octets of a disk's limit: no disk can hold more members than this allows.
constexpr std::uint64_t kBytesOfMember = 256;
constexpr std::uint64_t kSpareMembers = 4096;

std::string text_of(const sandbox::DiskName& octets) {
  return octets.back() == '\0' ? std::string(octets.data()) : std::string();
}

Status check(const sandbox::ArchiveRequest& request) {
  const bool is_named = SandboxId::parse(text_of(request.job)) && sandbox::is_snapshot_id(text_of(request.disk));
  sandbox::Limits limits;
  limits.memory = Bytes(request.memory_bytes);
  if (request.way == ArchiveWay::in) limits.disk = Bytes(request.disk_bytes);
  if (is_named && request.way <= ArchiveWay::in && sandbox::check_bounds(limits).ok()) return {};
  return Error::from_errno(EINVAL, "check the request");
}

// What its cgroup is made of. Pages of the disk are among its memory.
sandbox::LaunchPlan plan_of(const sandbox::ArchiveRequest& request, const Caps& caps) {
  sandbox::LaunchPlan plan;
  (void)text_of(request.job).copy(plan.id.data(), plan.id.size() - 1);
  plan.memory_bytes = std::min({request.memory_bytes, sandbox::kMaxArchiverMemory, caps.memory_bytes});
  plan.cpu_millis = std::min(sandbox::kArchiverCpuMillis, caps.cpu_millis);
  plan.processes = kProcesses;
  return plan;
}

}  // namespace

Status Launcher::use_archiver(UniqueFd program) {
  LMSB_TRY(const auto filter, compile_seccomp(archiver_filter()));
  const std::string_view octets(reinterpret_cast<const char*>(filter.data()), filter.size() * sizeof(filter[0]));
  LMSB_TRY(archiver_filter_, os::make_sealed_memfd("lm-sandbox-archiver-filter", octets));
  archiver_program_ = std::move(program);
  return {};
}

bool Launcher::is_archived(const std::string& disk) const {
  return std::any_of(sandboxes_.begin(), sandboxes_.end(), [&](const auto& s) { return s.second.archived == disk; });
}

void Launcher::handle_archive(const sandbox::ArchiveRequest& request) {
  const std::uint32_t number = request.header.request;
  if (!check(request).ok()) return refuse(number, LauncherStep::validate, EINVAL);
  const std::string job = text_of(request.job);
  const std::string disk = text_of(request.disk);
  const bool is_in = request.way == ArchiveWay::in;
  const auto count =
      std::count_if(sandboxes_.begin(), sandboxes_.end(), [](const auto& s) { return !s.second.archived.empty(); });
  if (!store_ || !archiver_program_) return refuse(number, LauncherStep::disk, ENOSYS);
  if (live_ids_.contains(job) || live_ids_.contains(disk)) return refuse(number, LauncherStep::disk, EBUSY);
  if (store_->has(disk) == is_in) return refuse(number, LauncherStep::disk, is_in ? EEXIST : ENOENT);
  if (static_cast<std::size_t>(count) >= sandbox::kMaxArchivers || sandboxes_.size() >= policy_.max_sandboxes)
    return refuse(number, LauncherStep::disk, EAGAIN);
  const auto base = ids_->lease();
  if (!base) return refuse(number, LauncherStep::lease, EAGAIN);
  const std::uint64_t serial = next_serial_++;
  Sandbox& sandbox = sandboxes_[serial];
  sandbox.id = job;
  sandbox.archived = disk;
  sandbox.id_base = *base;
  live_ids_[job] = serial;
  ArchiveEnds ends;
  const Status begun = begin_archive(request, sandbox, serial, ends);
  if (begun.ok()) {
    const std::array<int, sandbox::kArchiveFds> fds = {ends.channel.get(), ends.stream.get()};
    return answer({number, LauncherStep::none, 0, *base, serial}, fds.data(), fds.size());
  }
  sandbox.keeps_disk = false;
  refuse(number, LauncherStep::disk, begun.error().sys_errno());
  kill(serial);
  if (sandboxes_.contains(serial) && sandbox.guest.pid < 0) handle_exit(serial);
}

Status Launcher::begin_archive(const sandbox::ArchiveRequest& request, Sandbox& sandbox, std::uint64_t serial,
                               ArchiveEnds& ends) {
  sandbox.disk_bytes = std::min(request.disk_bytes, policy_.caps.disk_bytes);
  if (request.way == ArchiveWay::in) {
    sandbox.has_disk = true;  // be it half made: it goes with the archiver
    live_ids_[sandbox.archived] = serial;
    LMSB_CHECK(store_->make(sandbox.archived, sandbox.disk_bytes + DiskStore::kRoomToStart));  // claim_disk() ends that
  }
  LMSB_TRY(SandboxCgroup cgroup, cgroups_->create(plan_of(request, policy_.caps), sandbox.id_base));
  sandbox.kill_all = std::move(cgroup.kill_all);
  UniqueFd theirs;
  if (!message_socket_pair(ends.channel, theirs)) return Error::from_errno(errno, "socketpair");
  const std::uint32_t owner = owner_of(sandbox, guest_protocol::Profile::user);
  LMSB_TRY(sandbox.guest,
           spawn_guest(archiver_program_.get(), theirs.get(), cgroup.v2.get(), cgroup.join, owner, kName));
  sandbox.guest.user_namespace.reset();  // no mount is mapped by it
  LMSB_CHECK(watch(sandbox, serial));
  LMSB_CHECK(map_ids(sandbox));
  return hand_over_archive(request.way, sandbox, ends);
}

Status Launcher::hand_over_archive(ArchiveWay way, const Sandbox& sandbox, ArchiveEnds& ends) {
  const bool is_in = way == ArchiveWay::in;
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) < 0) return Error::from_errno(errno, "pipe");
  UniqueFd read_end(pipe[0]);
  UniqueFd write_end(pipe[1]);
  LMSB_TRY(const int mapping, mapping_of(image_userns_, {kImageRangeBase, sandbox.id_base, kIdRange}));
  const auto access = is_in ? PrivateTree::Access::read_write : PrivateTree::Access::read_only;
  LMSB_TRY(const UniqueFd disk, tree_->clone_disk(store_->path_of(sandbox.archived), mapping, access));
  ArchiveSetup setup;
  setup.way = way;
  setup.max_members = kSpareMembers + sandbox.disk_bytes / kBytesOfMember;
  const std::array<int, 3> fds = {disk.get(), (is_in ? read_end : write_end).get(), archiver_filter_.get()};
  static_assert(fds.size() == static_cast<std::size_t>(guest_protocol::ArchiveFd::count));
  const iovec part{&setup, sizeof setup};
  if (!send_message(ends.channel.get(), &part, 1, fds.data(), fds.size()))
    return Error::from_errno(errno, "send the setup");
  ends.stream = std::move(is_in ? write_end : read_end);
  return {};
}

}  // namespace lmsb::launcher
