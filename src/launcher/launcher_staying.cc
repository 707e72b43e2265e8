// Sandboxes that outlive this launcher, and those that an earlier one has left: see launcher.h.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "launcher/launcher.h"
#include "os/directory_stream.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

using sandbox::LauncherStep;

// A socket's name in a directory that is open: longer paths than a socket address takes, and no directory can take its
// place meanwhile.
struct MeetingPlace {
  MeetingPlace(int directory, const std::string& id) {
    address.sun_family = AF_UNIX;
    const int size =
        std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, id.c_str());
    fits = size > 0 && static_cast<std::size_t>(size) < sizeof address.sun_path;
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
  sockaddr_un address{};
  bool fits = false;
};

Result<UniqueFd> make_socket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Error::from_errno(errno, "make a socket");
  return socket;
}

// Nothing: there is no such process.
Result<UniqueFd> open_guest(pid_t pid) {
  UniqueFd guest(pid > 0 ? sys::pidfd_open(pid) : -1);
  // A number that is a thread's by now: EINVAL, of later kernels ENOENT.
  if (guest || pid <= 0 || errno == ESRCH || errno == EINVAL || errno == ENOENT) return guest;
  return Error::from_errno(errno, "open process " + std::to_string(pid));
}

}  // namespace

// The directory is root's alone, and stays open: once the private tree is entered there is no path to it.
Status Launcher::open_meetings() {
  if (policy_.meetings.empty()) return {};
  meetings_.reset(::open(policy_.meetings.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!meetings_ || ::fstat(meetings_.get(), &info) < 0) return Error::from_errno(errno, "open " + policy_.meetings);
  if (info.st_uid == ::geteuid() && (info.st_mode & 077U) == 0) return {};
  return Error(ErrorCode::failed_precondition, policy_.meetings + " is not a directory of root's alone")
      .with_hint("find out who made it, then remove it");
}

// What can be given to a daemon is kept; the rest ends here.
Status Launcher::find_left() {
  std::vector<std::string> ended;
  LMSB_TRY(const auto branches, cgroups_->branches());
  for (const CgroupTree::Branch& found : branches) {
    Left left{found.staying.value_or(Staying()), {}};
    LMSB_TRY(left.pidfd, open_guest(left.staying.pid));
    // Its guest is looked for now that the number cannot pass to another process.
    LMSB_TRY(const bool is_guest, cgroups_->is_guest(found.id, left.staying.pid));
    const bool lives = left.pidfd && is_guest;
    const bool is_whole = lives && left.staying.is_ours && meetings_ && store_ && store_->has(found.id) &&
                          ids_->take_up(left.staying.id_base);
    if (lives && !is_whole)
      std::fprintf(stderr, "lm-sandbox: warning: sandbox %s has run on and ends: %s\n", found.id.c_str(),
                   left.staying.is_ours ? "its disk is not in this store, or its ids are another daemon's"
                                        : "it was started by another version; start it again");
    if (is_whole) {
      live_ids_[found.id] = 0;
      left_[found.id] = std::move(left);
    } else {
      ended.push_back(found.id);
    }
  }
  cgroups_->end(ended);
  unremoved_ = std::move(ended);
  remove_unremoved();
  forget_meetings();
  return {};
}

// Tried again whenever something else is given back: no event says that the kernel is done with one.
void Launcher::remove_unremoved() {
  std::erase_if(unremoved_, [this](const std::string& id) { return live_ids_.contains(id) || cgroups_->remove(id); });
}

void Launcher::forget_meetings() {
  if (!meetings_) return;
  const auto names = os::stream_of(UniqueFd(::fcntl(meetings_.get(), F_DUPFD_CLOEXEC, 0)));
  while (const dirent* entry = names ? ::readdir(names.get()) : nullptr)
    if (entry->d_name[0] != '.' && !left_.contains(entry->d_name)) (void)::unlinkat(meetings_.get(), entry->d_name, 0);
}

// Where the guest of a sandbox that may stay is met. One without a meeting place ends with this launcher.
void Launcher::make_meeting(Sandbox& sandbox) {
  if (!policy_.sandboxes_stay || !meetings_ || !sandbox.is_kept || !sandbox.has_disk) return;
  const Status made = meet(sandbox);
  sandbox.can_stay = made.ok();
  if (!made.ok())
    std::fprintf(stderr, "lm-sandbox: warning: sandbox %s ends with the daemon: %s\n", sandbox.id.c_str(),
                 made.error().message().c_str());
}

Status Launcher::meet(Sandbox& sandbox) {
  const MeetingPlace place(meetings_.get(), sandbox.id);
  LMSB_TRY(UniqueFd listener, make_socket());
  if (::unlinkat(meetings_.get(), sandbox.id.c_str(), 0) < 0 && errno != ENOENT)
    return Error::from_errno(errno, "remove its old meeting place");
  if (!place.fits || ::bind(listener.get(), place.get(), sizeof place.address) < 0 || ::listen(listener.get(), 1) < 0)
    return Error::from_errno(errno, "make its meeting place");
  sandbox.listener = std::move(listener);
  return {};
}

Status Launcher::let_stay(Sandbox& sandbox) {
  if (!sandbox.can_stay || sandbox.stays) return {};
  LMSB_CHECK(ids_->let_stay(sandbox.id_base, sandbox.guest.pid));
  LMSB_CHECK(cgroups_->let_stay(sandbox.id,
                                {sandbox.guest.pid, true, sandbox.id_base, sandbox.processes, sandbox.disk_bytes}));
  sandbox.stays = true;
  return {};
}

void Launcher::tell_next_left(std::uint32_t request, const std::string& after) {
  sandbox::LauncherAnswer next{request};
  const auto found = left_.upper_bound(after);
  if (found != left_.end()) (void)found->first.copy(next.disk.data(), next.disk.size() - 1);
  answer(next);
}

void Launcher::tell_next_stray(std::uint32_t request, const std::string& after) {
  sandbox::LauncherAnswer next{request};
  const auto branches = cgroups_->branches();
  if (!branches.ok()) return refuse(request, LauncherStep::cgroups, branches.error().sys_errno());
  std::string first;
  for (const CgroupTree::Branch& branch : *branches)
    if (branch.id > after && !live_ids_.contains(branch.id) && (first.empty() || branch.id < first)) first = branch.id;
  (void)first.copy(next.disk.data(), next.disk.size() - 1);
  answer(next);
}

void Launcher::handle_take_up(std::uint32_t request, const std::string& id) {
  auto found = left_.extract(id);
  if (found.empty()) return refuse(request, LauncherStep::not_found, ENOENT);
  const std::uint64_t serial = next_serial_++;
  Sandbox& sandbox = sandboxes_[serial];
  const Staying& staying = found.mapped().staying;
  sandbox.id = id;
  sandbox.id_base = staying.id_base;
  sandbox.is_kept = sandbox.has_disk = sandbox.stays = true;
  sandbox.can_stay = policy_.sandboxes_stay;
  sandbox.disk_bytes = staying.disk_bytes;
  sandbox.processes = staying.processes;
  sandbox.guest = {staying.pid, std::move(found.mapped().pidfd), false, {}};
  live_ids_[id] = serial;
  auto launched = open_left(sandbox, serial);
  if (launched.ok()) return answer_launch(request, *launched);
  sandbox.refusal.emplace(request, launched.error().sys_errno());
  kill(serial);
}

Result<Launcher::Launched> Launcher::open_left(Sandbox& sandbox, std::uint64_t serial) {
  LMSB_CHECK(watch(sandbox, serial));
  LMSB_TRY(SandboxCgroup branch, cgroups_->reopen(sandbox.id));
  sandbox.kill_all = std::move(branch.kill_all);
  sandbox.oom_notice = std::move(branch.oom_notice);
  sandbox.oom_event.reset(::fcntl(branch.oom_event.get(), F_DUPFD_CLOEXEC, 3));
  LMSB_CHECK(watch_memory(sandbox, serial));
  LMSB_CHECK(store_->limit(sandbox.id, sandbox.disk_bytes));  // it may not have been settled
  LMSB_TRY(UniqueFd channel, make_socket());
  const MeetingPlace place(meetings_.get(), sandbox.id);
  widen(channel.get());
  if (!place.fits || ::connect(channel.get(), place.get(), sizeof place.address) < 0)
    return Error::from_errno(errno, "meet the guest of " + sandbox.id);
  return launched_of(sandbox, serial, std::move(branch), std::move(channel));
}

// Lets go of it: it stays as it is.
void Launcher::leave(std::uint64_t serial) {
  const Sandbox& sandbox = sandboxes_.at(serial);
  if (sandbox.change) (void)sys::pidfd_send_signal(sandbox.change->changer.pidfd.get(), SIGKILL);
  sandboxes_.erase(serial);
}

}  // namespace lmsb::launcher
