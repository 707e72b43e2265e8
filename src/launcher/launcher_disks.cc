// The launcher's part in the disks of kept sandboxes: the store, and who gets which.
#include <array>
#include <cerrno>
#include <cstdio>
#include <sys/epoll.h>

#include "base/ids.h"
#include "launcher/epoll_tag.h"
#include "launcher/launcher.h"

namespace lmsb::launcher {

using guest_protocol::Disk;
using sandbox::LauncherStep;

Status Launcher::open_store() {
  if (policy_.disks.empty()) return {};
  auto store = DiskStore::open(policy_.disks, policy_.store_bytes);
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
  if (plan.disk == Disk::existing && (!store_ || !store_->has(sandbox.id)))
    return Error::from_errno(ENOENT, "no such disk");
  if (plan.disk == Disk::fresh) {
    if (store_->has(sandbox.id)) return Error::from_errno(EEXIST, "a disk of that id exists");
    sandbox.has_disk = true;
    const Status made = store_->make(sandbox.id, plan.disk_bytes);
    sandbox.keeps_disk = made.ok();
    return made;
  }
  sandbox.has_disk = true;
  sandbox.disk_bytes = plan.disk_bytes;
  return store_->limit(sandbox.id, plan.disk_bytes + DiskStore::kRoomToStart);  // handle_disk() ends that
}

void Launcher::settle_disk(const std::string& id) {
  for (const auto& [serial, sandbox] : sandboxes_)
    if (sandbox.id == id && sandbox.disk_bytes > 0)
      (void)store_->limit(id, sandbox.disk_bytes);  // else it has some more
}

void Launcher::handle_disk(const sandbox::DiskRequest& request) {
  sandbox::LauncherAnswer done{request.header.request};
  const auto refuse = [&](LauncherStep step, int error) {
    done.failed_step = step;
    done.error = error;
    answer(done);
  };
  const bool is_next = request.header.operation == sandbox::LauncherOperation::next_disk;
  const bool is_terminated = request.id.back() == '\0';
  if (!is_terminated || (!SandboxId::parse(request.id.data()) && !(is_next && request.id.front() == '\0')))
    return refuse(LauncherStep::validate, EINVAL);
  if (is_next) {
    if (store_) (void)store_->next(request.id.data()).copy(done.disk.data(), done.disk.size() - 1);
    return answer(done);
  }
  if (request.header.operation == sandbox::LauncherOperation::settle_disk) {
    settle_disk(request.id.data());
    return answer(done);
  }
  if (live_ids_.contains(request.id.data())) return refuse(LauncherStep::disk, EBUSY);
  if (const Status removed = store_ ? store_->remove(request.id.data()) : Status(); !removed.ok())
    return refuse(LauncherStep::disk, removed.error().sys_errno());
  answer(done);
  sweep();
}

// An event each time what empties the trash has ended: something may have come into it meanwhile.
void Launcher::sweep() {
  if (!store_) return;
  const int before = store_->sweeper().get();
  store_->sweep();
  if (!store_->sweeper() || store_->sweeper().get() == before) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag(Source::sweeper, 0);
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, store_->sweeper().get(), &event);  // else the next removal looks
}

}  // namespace lmsb::launcher
