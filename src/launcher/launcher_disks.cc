// The launcher's part in the disks of kept sandboxes: the store, and who gets which.
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <poll.h>
#include <sys/epoll.h>

#include "launcher/epoll_tag.h"
#include "launcher/helper_process.h"
#include "launcher/launcher.h"
#include "os/sys.h"
#include "sandbox/disk_id.h"

namespace lmsb::launcher {

using guest_protocol::Disk;
using sandbox::LauncherStep;

namespace {

constexpr int kLettingGo = 250;  // tries
constexpr int kBetweenTriesMs = 20;

Error no_such_disk() { return Error::from_errno(ENOENT, "no such disk"); }

using sandbox::is_disk_id;

// A name of something in the store, or what a listing of it begins with.
std::optional<std::string> name_of(const sandbox::DiskName& octets) {
  if (octets.back() != '\0') return std::nullopt;
  const std::string name = octets.data();
  if (name.empty() || name == sandbox::kSnapshotPrefix || name == sandbox::kVolumePrefix || is_disk_id(name))
    return name;
  return std::nullopt;
}

}  // namespace

// Guests of an earlier launcher keep a file system that has failed from being mounted anew, and nothing that they write
// is kept: they end here. The kernel lets go of what was mounted some moments after its last process, and no event says
// when.
Result<DiskStore> Launcher::open_store_anew() {
  std::vector<std::string> ended;
  LMSB_TRY(const auto branches, cgroups_->branches());
  for (const CgroupTree::Branch& branch : branches) {
    if (branch.staying)
      std::fprintf(stderr,
                   "lm-sandbox: warning: sandbox %s has run on and ends: the file system of its disk has failed\n",
                   branch.id.c_str());
    ended.push_back(branch.id);
  }
  cgroups_->end(ended);
  for (int tries = 0;; ++tries) {
    auto store = DiskStore::open(policy_.disks, policy_.store_bytes);
    const bool is_held = !store.ok() && store.error().slug() == DiskStore::kFailedInUse;
    if (!is_held || tries >= kLettingGo) return store;
    (void)::poll(nullptr, 0, kBetweenTriesMs);
  }
}

Status Launcher::open_store() {
  if (policy_.disks.empty()) return {};
  auto store = DiskStore::open(policy_.disks, policy_.store_bytes);
  if (!store.ok() && store.error().slug() == DiskStore::kFailedInUse) store = open_store_anew();
  if (store.ok()) {
    store_ = *std::move(store);
    return {};
  }
  if (policy_.needs_store || store.error().code() != ErrorCode::unsupported) return std::move(store).error();
  const Error& why = store.error();
  std::fprintf(stderr, "lm-sandbox: warning: %s; they lie in memory and end with their sandbox%s%s\n",
               why.message().c_str(), why.hint().empty() ? "" : "; ", why.hint().c_str());
  return {};
}

// Without a store what is new lies in memory.
Status Launcher::provide_disk(sandbox::LaunchPlan& plan, Sandbox& sandbox) {
  if (!store_ && plan.disk == Disk::fresh) plan.disk = Disk::none;
  if (plan.disk == Disk::none) return {};
  if (plan.disk != Disk::fresh && (!store_ || !store_->has(sandbox.id))) return no_such_disk();
  LMSB_TRY(sandbox.disk_lock, store_->lock(sandbox.id));
  sandbox.disk_bytes = plan.disk_bytes;
  if (plan.disk == Disk::fresh) {
    if (store_->has(sandbox.id)) return Error::from_errno(EEXIST, "a disk of that id exists");
    sandbox.has_disk = true;
    Status made = store_->make(sandbox.id, plan.disk_bytes);
    sandbox.keeps_disk = made.ok();
    return made;
  }
  sandbox.has_disk = true;
  return store_->limit(sandbox.id, plan.disk_bytes + DiskStore::kRoomToStart);  // settle_disk() ends that
}

Status Launcher::settle_disk(const std::string& id) {
  const auto live = live_ids_.find(id);
  if (live == live_ids_.end() || live->second == 0 || !sandboxes_.at(live->second).has_disk) return no_such_disk();
  return store_->limit(id, sandboxes_.at(live->second).disk_bytes);
}

// A guest that this launcher does not know of may have it.
Status Launcher::free_disk(const std::string& id) {
  if (!store_) return {};
  if (!SandboxId::parse(id) || !store_->has(id)) return store_->remove(id);
  LMSB_TRY(const UniqueFd lock, store_->lock(id));
  return store_->remove(id);
}

// Its sandbox, if it runs, stays as the disk does.
Status Launcher::claim_disk(const std::string& id) {
  if (!store_ || !is_disk_id(id)) return no_such_disk();
  const auto live = live_ids_.find(id);
  const bool is_imported = live != live_ids_.end() && live->second != 0 && sandboxes_.at(live->second).archived == id;
  if (is_imported) LMSB_CHECK(store_->limit(id, sandboxes_.at(live->second).disk_bytes));
  LMSB_CHECK(store_->claim(id));
  return live != live_ids_.end() && live->second != 0 ? let_stay(sandboxes_.at(live->second)) : Status();
}

void Launcher::refuse(std::uint32_t request, LauncherStep step, int error) {
  // What fails for a disk that has failed says so in one way.
  if (step == LauncherStep::disk && error == EIO && store_ && !store_->check().ok()) error = EROFS;
  answer({request, step, error == 0 ? EIO : error});
}

void Launcher::handle_disk(const sandbox::DiskRequest& request) {
  const std::uint32_t number = request.header.request;
  const auto name = name_of(request.id);
  if (!name) return refuse(number, LauncherStep::validate, EINVAL);
  const auto tell = [&](const Status& done) {
    return done.ok() ? answer({number}) : refuse(number, LauncherStep::disk, done.error().sys_errno());
  };
  using Operation = sandbox::LauncherOperation;
  switch (request.header.operation) {
    case Operation::next_disk: return tell_next(number, *name);
    case Operation::sync_disks: (void)begin_job(number, "", [this] { return store_->start_sync(); }); return;
    case Operation::settle_disk: return tell(settle_disk(*name));
    case Operation::claim_disk: return tell(claim_disk(*name));
    case Operation::next_left: return tell_next_left(number, *name);
    case Operation::next_stray: return tell_next_stray(number, *name);
    case Operation::take_up: return handle_take_up(number, *name);
    case Operation::open_network: return open_network(number, *name);
    case Operation::check_store:
      return tell(store_ ? store_->check() : Status(Error::from_errno(ENODEV, "there is no store")));
    case Operation::sweep_disks:
      if (store_)
        store_->remove_fresh([this](const std::string& id) { return live_ids_.contains(id) || is_archived(id); });
      tell({});
      return sweep();
    case Operation::weigh_disk: return tell_weight(number, *name);
    case Operation::remove_disk: break;
    default: return refuse(number, LauncherStep::validate, EINVAL);
  }
  if (!is_disk_id(*name)) return refuse(number, LauncherStep::validate, EINVAL);
  if (live_ids_.contains(*name) || is_archived(*name)) return refuse(number, LauncherStep::disk, EBUSY);
  tell(free_disk(*name));
  sweep();
}

void Launcher::tell_weight(std::uint32_t request, const std::string& id) {
  const auto held = store_ && is_disk_id(id) ? store_->held_bytes(id) : Result<std::uint64_t>(no_such_disk());
  if (!held.ok()) return refuse(request, LauncherStep::disk, held.error().sys_errno());
  answer({request, LauncherStep::none, 0, 0, *held});
}

void Launcher::tell_next(std::uint32_t request, const std::string& after) {
  sandbox::LauncherAnswer found{request};
  if (store_) {
    const auto next = store_->next(after);
    if (!next.ok()) return refuse(request, LauncherStep::disk, next.error().sys_errno());
    (void)next->copy(found.disk.data(), found.disk.size() - 1);
  }
  answer(found);
}

void Launcher::handle_volume(const sandbox::VolumeRequest& request) {
  const std::uint32_t number = request.header.request;
  const auto id = name_of(request.id);
  if (!id || !sandbox::is_volume_id(*id) || request.bytes == 0) return refuse(number, LauncherStep::validate, EINVAL);
  if (!store_) return refuse(number, LauncherStep::disk, ENOENT);
  const std::uint64_t bytes = std::min(request.bytes, policy_.caps.disk_bytes);
  const bool makes = request.header.operation == sandbox::LauncherOperation::make_volume;
  if (makes && store_->has(*id)) return refuse(number, LauncherStep::disk, EEXIST);
  const Status done = makes ? store_->make(*id, bytes) : store_->limit(*id, bytes);
  done.ok() ? answer({number}) : refuse(number, LauncherStep::disk, done.error().sys_errno());
}

void Launcher::handle_copy(const sandbox::CopyRequest& request) {
  const std::uint32_t number = request.header.request;
  const auto from = name_of(request.from);
  const auto to = name_of(request.to);
  if (!from || !to || !sandbox::is_copy_id(*from) || !sandbox::is_copy_id(*to) || *from == *to || request.replaces > 1)
    return refuse(number, LauncherStep::validate, EINVAL);
  if (live_ids_.contains(*to) || is_archived(*to)) return refuse(number, LauncherStep::disk, EBUSY);
  if (request.replaces == 1 && store_ && !store_->lock(*to).ok()) return refuse(number, LauncherStep::disk, EBUSY);
  const auto replace = request.replaces == 1 ? DiskStore::Replace::yes : DiskStore::Replace::no;
  if (begin_job(number, *to, [&] { return store_->start_copy(*from, *to, replace); })) live_ids_[*to] = 0;
}

// To be answered when the helper has ended; until then nobody else gets what it makes. False: it was refused.
bool Launcher::begin_job(std::uint32_t request, std::string made, const std::function<Result<GuestProcess>()>& start) {
  const auto refused = [&](int error) { return refuse(request, LauncherStep::disk, error), false; };
  if (!store_) return refused(ENOENT);
  if (jobs_.size() >= sandbox::kMaxDiskJobs) return refused(EAGAIN);
  auto helper = start();
  if (!helper.ok()) return refused(helper.error().sys_errno());
  epoll_event event{};
  event.events = EPOLLIN;
  const std::uint64_t job = next_job_++;
  event.data.u64 = tag(Source::job, job);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, helper->pidfd.get(), &event) < 0) {
    const int error = errno;
    (void)sys::pidfd_send_signal(helper->pidfd.get(), SIGKILL);  // reaped with the launcher
    return refused(error);
  }
  jobs_[job] = {request, *std::move(helper), std::move(made)};
  return true;
}

void Launcher::handle_job(std::uint64_t job) {
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return;
  const std::optional<int> ended = reap(found->second.helper);
  if (!ended) return;
  const std::uint32_t request = found->second.request;
  live_ids_.erase(found->second.made);
  jobs_.erase(found);
  *ended == 0 ? answer({request}) : refuse(request, LauncherStep::disk, *ended);
  store_->expect_trash();  // what was replaced
  sweep();
}

// An event each time what empties the trash has ended: something may have come into it meanwhile.
void Launcher::sweep() {
  if (!store_ || !store_->sweep()) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag(Source::sweeper, 0);
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, store_->sweeper().get(), &event);  // else the next removal looks
}

}  // namespace lmsb::launcher
