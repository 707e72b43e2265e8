#include "control/fleet.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <utility>

#include <boost/asio/post.hpp>

#include "io/spawn.h"
#include "sandbox/disk_id.h"

namespace lmsb::control {
namespace {

const std::vector<double> kLaunchBuckets = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2};
using Disk = sandbox::LauncherClient::Disk;

constexpr std::uint32_t kMaxFailuresInARow = 3;  // then the pool rests until somebody launches with success

constexpr std::chrono::minutes kTakeUpLimit{10};  // for a guest that may have little processor time
constexpr std::chrono::seconds kPlaceLimit{60};
constexpr std::chrono::seconds kJobLimit{120};  // for the launcher to copy a disk, or to sync them

Error disks_busy() {
  return Error(ErrorCode::resource_exhausted, "too many disks are being copied")
      .with_slug("sandbox_busy")
      .with_hint("try again in a moment");
}

sandbox::SandboxSpec spec_of(const PoolKind& kind) {
  sandbox::SandboxSpec spec;
  spec.image = kind.image;
  spec.limits = kind.limits;
  spec.lifetime = kind.lifetime;
  if (kind.lifetime == sandbox::Lifetime::kept) spec.disk = guest_protocol::Disk::fresh;
  return spec;
}

}  // namespace

Error Fleet::launcher_gone() { return sandbox::launcher_gone(); }

Error Fleet::daemon_ends() { return Error(ErrorCode::cancelled, "the daemon ends").with_slug("daemon_ends"); }

Fleet::Fleet(boost::asio::io_context& loop, sandbox::LauncherClient client, Options options, Metrics& metrics,
             Logger& log)
    : loop_(loop),
      client_(std::move(client)),
      options_(options),
      log_(log),
      launches_(metrics.counter("lmsb_sandbox_launches_total", "Sandboxes launched")),
      launch_failures_(metrics.counter("lmsb_sandbox_launch_failures_total", "Launches that failed")),
      root_launches_(
          metrics.counter("lmsb_sandbox_root_launches_total", "Sandboxes launched in which commands are root")),
      pool_hits_(metrics.counter("lmsb_pool_hits_total", "Sandboxes taken from the pool")),
      pool_misses_(metrics.counter("lmsb_pool_misses_total", "Sandboxes that had to be launched on request")),
      evictions_(metrics.counter("lmsb_pipe_evictions_total", "Commands killed because they kept a pipe's lock")),
      launch_seconds_(
          metrics.histogram("lmsb_sandbox_launch_seconds", "From the request to a ready guest", kLaunchBuckets)),
      watch_(loop.get_executor(), BorrowedFd(client_.fd())),
      changed_(loop) {
  (void)::fcntl(client_.fd(), F_SETFL, ::fcntl(client_.fd(), F_GETFL) | O_NONBLOCK);
  ++in_flight_;
  io::spawn(loop, read_answers());
}

Fleet::~Fleet() { watch_.cancel(); }

// The Fleet outlives this task: drain() waits for it, and the loop has ended otherwise.
io::Always<void> Fleet::read_answers() {
  for (;;) {
    auto answer = client_.receive();
    if (!answer.ok()) break;
    if (*answer) {
      handle(*std::move(*answer));
      continue;
    }
    const Status readable = co_await watch_.readable();
    if (!readable.ok()) break;
  }
  launcher_gone_ = true;
  for (auto* waiting : {&pending_, &asked_})
    for (const auto& [request, pending] : std::exchange(*waiting, {})) {
      pending->answer = launcher_gone();
      pending->answered.notify_all();
    }
  --in_flight_;
  changed_.notify_all();
}

// What the launcher's socket did not take at once goes out when it can.
void Fleet::send_rest() {
  if (!client_.has_unsent() || is_flushing_ || launcher_gone_) return;
  is_flushing_ = true;
  ++in_flight_;
  io::spawn(loop_, flush(this));
}

io::Always<void> Fleet::flush(Fleet* fleet) {
  while (fleet->client_.has_unsent() && !fleet->launcher_gone_) {
    const Status writable = co_await fleet->watch_.writable();
    if (!writable.ok()) break;
    if (!fleet->client_.flush().ok()) break;  // read_answers() sees that the launcher is gone, too
  }
  fleet->is_flushing_ = false;
  --fleet->in_flight_;
  fleet->changed_.notify_all();
}

void Fleet::handle(sandbox::LauncherClient::Answer answer) {
  if (const auto found = pending_.find(answer.request); found != pending_.end()) {
    if (answer.lost > 0) release(answer.lost, found->second->disk);
    found->second->answer = std::move(answer.launched);
    found->second->answered.notify_all();
    pending_.erase(found);
    return;
  }
  if (const auto found = asked_.find(answer.request); found != asked_.end()) {
    found->second->answer = std::move(answer.launched);
    found->second->answered.notify_all();
    asked_.erase(found);
    changed_.notify_all();
    return;
  }
  if (const auto found = abandoned_.find(answer.request); found != abandoned_.end()) {
    if (answer.launched.ok()) release(answer.launched->serial, found->second);
    if (answer.lost > 0) release(answer.lost, found->second);
    abandoned_.erase(found);
    return;
  }
  if (destroy_requests_.erase(answer.request) == 0) return;
  --destroying_;
  changed_.notify_all();
  refill();
}

void Fleet::release(std::uint64_t serial, Disk disk, Capacity::Share room) {
  held_.erase(serial);
  auto request = client_.send_destroy(serial, disk);
  if (!request.ok()) return;  // a launcher that is gone takes its sandboxes with it, or leaves them to the next one
  send_rest();
  destroy_requests_[*request] = {serial, std::move(room)};
  ++destroying_;
}

void Fleet::forget(std::uint64_t serial) {
  held_.erase(serial);
  changed_.notify_all();
}

io::Task<Fleet::Handle> Fleet::launch(sandbox::SandboxSpec spec) {
  ++in_flight_;
  const sandbox::Lifetime lifetime = spec.lifetime;
  const bool has_root = spec.profile == guest_protocol::Profile::root;
  auto launched = co_await launch_and_wait(std::move(spec));
  --in_flight_;
  (launched.ok() ? launches_ : launch_failures_).increment();
  if (launched.ok() && has_root) root_launches_.increment();
  for (const auto& pool : pools_)
    if (launched.ok() && pool->kind.lifetime == lifetime) pool->failures_in_a_row = 0;
  changed_.notify_all();
  co_return launched;
}

io::Task<Fleet::Handle> Fleet::launch_and_wait(sandbox::SandboxSpec spec) {
  const io::Deadline deadline = io::Deadline::in(options_.launch_timeout);
  const auto begin = std::chrono::steady_clock::now();
  while (destroying_ >= options_.max_destroying && !launcher_gone_) LMSB_CO_CHECK(co_await changed_.wait(deadline));
  if (launcher_gone_) co_return launcher_gone();
  if (draining_) co_return daemon_ends();
  LMSB_CO_TRY(const sandbox::LaunchPlan plan, sandbox::plan(spec));
  LMSB_CO_TRY(const std::uint32_t request, client_.send_launch(plan));
  send_rest();
  LMSB_CO_TRY(auto handle, co_await stand(request, spec, SandboxHandle::Guest::fresh, deadline));
  if (spec.disk != guest_protocol::Disk::none) keeps_disks_ = handle->has_disk();
  if (spec.disk == guest_protocol::Disk::existing || spec.disk == guest_protocol::Disk::copied) {
    LMSB_CO_CHECK(client_.send_settle_disk(handle->id()));  // its answer says nothing
    send_rest();
  }
  launch_seconds_.observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  co_return handle;
}

io::Task<sandbox::LaunchedSandbox> Fleet::launched(std::uint32_t request, Disk if_unwanted, io::Deadline deadline) {
  const auto pending = std::make_shared<Pending>(loop_);
  pending->disk = if_unwanted;
  pending_[request] = pending;
  while (!pending->answer) {
    Status answered = co_await pending->answered.wait(deadline);
    if (answered.ok()) continue;
    pending_.erase(request);
    abandoned_[request] = pending->disk;  // handle() destroys what still comes
    co_return std::move(answered).error();
  }
  if (!pending->answer->ok()) co_return std::move(*pending->answer).error();
  held_.insert((*pending->answer)->serial);
  co_return *std::move(*pending->answer);
}

io::Task<Fleet::Handle> Fleet::stand(std::uint32_t request, sandbox::SandboxSpec spec, SandboxHandle::Guest guest,
                                     io::Deadline deadline) {
  LMSB_CO_TRY(auto answer, co_await launched(request, SandboxHandle::disk_of(spec), deadline));
  SandboxHandle::Release give_back = [weak = std::weak_ptr<Fleet*>(self_)](
                                         std::uint64_t ended, std::optional<Disk> disk, Capacity::Share room) {
    const auto fleet = weak.lock();  // a task that never ended may let go of it when the fleet has gone
    if (!fleet) return;
    disk ? (*fleet)->release(ended, *disk, std::move(room)) : (*fleet)->forget(ended);
  };
  auto handle = std::make_unique<SandboxHandle>(loop_, spec, std::move(answer), guest, std::move(give_back));
  handle->on_eviction = [weak = std::weak_ptr<Fleet*>(self_), id = handle->id()](int times) {
    if (const auto fleet = weak.lock()) (*fleet)->note_eviction(id, times);
  };
  const auto ready = co_await handle->channel().wait_ready(deadline);
  if (!ready.ok()) {
    if (guest == SandboxHandle::Guest::held && !draining_) handle->keep_disk();  // it ends
    const std::uint64_t serial = handle->serial();
    handle.reset();
    LMSB_CO_CHECK(co_await wait_destroyed(serial));  // its disk is free when this is told
    co_return ready.error();
  }
  handle->ready = *ready;
  co_return handle;
}

void Fleet::note_eviction(const std::string& id, int times) {
  if (times == 0) evictions_.increment();
  log_.log(LogLevel::warning, "sandbox.pipe_held", {{"id", id}, {"times", std::to_string(times)}});
}

io::Task<Fleet::Handle> Fleet::take_up(std::string id, std::string image) {
  const auto parsed = SandboxId::parse(id);
  if (!parsed) co_return Error(ErrorCode::internal, "a sandbox's id is malformed");
  if (launcher_gone_) co_return launcher_gone();
  LMSB_CO_TRY(const std::uint32_t request, client_.send_take_up(id));
  send_rest();
  sandbox::SandboxSpec spec;
  spec.id = *parsed;
  spec.image = std::move(image);
  spec.lifetime = sandbox::Lifetime::kept;
  spec.disk = guest_protocol::Disk::existing;
  ++in_flight_;
  auto handle = co_await stand(request, std::move(spec), SandboxHandle::Guest::held, io::Deadline::in(kTakeUpLimit));
  --in_flight_;
  changed_.notify_all();
  co_return handle;
}

io::Task<Fleet::Handle> Fleet::take(PoolKind kind) {
  const auto matches = [&kind](const std::unique_ptr<Pool>& pool) { return pool->kind == kind; };
  const auto pool = std::find_if(pools_.begin(), pools_.end(), matches);
  while (pool != pools_.end() && !(*pool)->ready.empty()) {
    Handle handle = std::move((*pool)->ready.front());
    (*pool)->ready.pop_front();
    if ((*pool)->is_low()) do_chores_later();
    if (handle->channel().is_closed()) continue;  // it died while it waited
    pool_hits_.increment();
    co_return handle;
  }
  pool_misses_.increment();
  co_return co_await launch(spec_of(kind));
}

io::Task<void> Fleet::wait_destroyed(std::uint64_t serial, io::Deadline deadline) {
  const auto is_there = [this, serial] {
    if (held_.contains(serial)) return true;
    return std::any_of(destroy_requests_.begin(), destroy_requests_.end(),
                       [serial](const auto& d) { return d.second.serial == serial; });
  };
  while (is_there() && !launcher_gone_) LMSB_CO_CHECK(co_await changed_.wait(deadline));
  if (launcher_gone_) co_return launcher_gone();
  co_return Status();
}

io::Task<Bytes> Fleet::change_limits(std::uint64_t serial, sandbox::Limits limits) {
  while (limiting_ >= sandbox::kMaxLimitChanges && !launcher_gone_) LMSB_CO_CHECK(co_await changed_.wait());
  if (launcher_gone_) co_return launcher_gone();
  LMSB_CO_TRY(const std::uint32_t request, client_.send_limits(serial, limits));
  ++limiting_;
  const auto answer = co_await answer_to(request);
  --limiting_;
  changed_.notify_all();
  if (answer.ok()) co_return Bytes(answer->serial);
  const Error& error = answer.error();
  if (error.sys_errno() == EAGAIN)
    co_return Error(ErrorCode::resource_exhausted, "the limits of too many sandboxes are being changed")
        .with_slug("sandbox_busy")
        .with_hint("try again in a moment");
  if (error.sys_errno() == EBUSY)
    co_return Error(ErrorCode::failed_precondition, "the sandbox uses more memory than that")
        .with_slug("limit_in_use")
        .with_hint("end processes in it, or remove what they wrote, and try again");
  if (error.sys_errno() == ENOENT)
    co_return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost");
  co_return error;
}

// drain() waits for it: the launcher may still be at work on what was asked.
io::Task<sandbox::LaunchedSandbox> Fleet::answer_to(std::uint32_t request, io::Deadline deadline) {
  send_rest();
  const auto pending = std::make_shared<Pending>(loop_);
  asked_[request] = pending;
  ++in_flight_;
  Status waited;
  while (waited.ok() && !pending->answer) waited = co_await pending->answered.wait(deadline);
  --in_flight_;
  changed_.notify_all();
  LMSB_CO_CHECK(std::move(waited));
  co_return std::move(*pending->answer);
}

io::Task<void> Fleet::tell(Result<std::uint32_t> request) {
  if (launcher_gone_) co_return launcher_gone();
  if (!request.ok()) co_return std::move(request).error();
  const auto answer = co_await answer_to(*request);
  co_return answer.ok() ? Status() : Status(Error(answer.error()));
}

io::Task<void> Fleet::remove_disk(std::string id) { return tell(client_.send_remove_disk(id)); }

io::Task<void> Fleet::make_volume(std::string id, Bytes size) { return tell(client_.send_make_volume(id, size)); }

io::Task<void> Fleet::limit_volume(std::string id, Bytes size) { return tell(client_.send_limit_volume(id, size)); }

io::Task<void> Fleet::claim_disk(const Claiming&, std::string id) { return tell(client_.send_claim_disk(id)); }

io::Task<void> Fleet::check_store() { return tell(client_.send_check_store()); }

io::Task<void> Fleet::sweep_disks() { return tell(client_.send_sweep_disks()); }

io::Task<std::uint64_t> Fleet::weigh_disk(std::string id) {
  if (launcher_gone_) co_return launcher_gone();
  LMSB_CO_TRY(const std::uint32_t request, client_.send_weigh_disk(id));
  const auto answer = co_await answer_to(request);
  if (!answer.ok()) co_return answer.error();
  co_return answer->serial;
}

io::Task<NetworkUsage> Fleet::network_usage(std::string id) {
  if (launcher_gone_) co_return launcher_gone();
  LMSB_CO_TRY(const std::uint32_t request, client_.send_open_network(id));
  const auto answer = co_await answer_to(request);
  if (!answer.ok() && answer.error().sys_errno() == ENOENT) co_return NetworkUsage();
  if (!answer.ok()) co_return answer.error();
  co_return read_network_counters(answer->only);
}

Fleet::Share::~Share() {
  const auto fleet = fleet_.lock();
  if (!fleet) return;
  --((*fleet)->*shares_);
  (*fleet)->changed_.notify_all();
  if ((*fleet)->refill_is_due_) (*fleet)->do_chores_later();
}

io::Task<std::unique_ptr<Fleet::DiskPlace>> Fleet::disk_place() {
  const io::Deadline deadline = io::Deadline::in(kPlaceLimit);
  while (disk_places_ >= sandbox::kMaxDiskJobs && !launcher_gone_) {
    Status woken = co_await changed_.wait(deadline);
    if (!woken.ok() && woken.error().code() == ErrorCode::deadline_exceeded) co_return disks_busy();
    LMSB_CO_CHECK(std::move(woken));
  }
  if (launcher_gone_) co_return launcher_gone();
  if (draining_) co_return daemon_ends();
  co_return std::make_unique<DiskPlace>(*this);
}

io::Task<void> Fleet::disk_job(Result<std::uint32_t> request) {
  if (launcher_gone_) co_return launcher_gone();
  if (!request.ok()) co_return std::move(request).error();
  const auto answer = co_await answer_to(*request, io::Deadline::in(kJobLimit));
  if (answer.ok()) co_return Status();
  if (answer.error().sys_errno() == EAGAIN) co_return disks_busy();
  co_return answer.error();
}

io::Task<void> Fleet::copy_disk(const DiskPlace&, std::string from, std::string to, Replaces replaces) {
  auto request = client_.send_copy(from, to, replaces == Replaces::yes);
  Status copied = co_await disk_job(std::move(request));
  const bool is_missing = !copied.ok() && copied.error().slug() == "disk_lost";
  if (!is_missing || !from.starts_with(sandbox::kSnapshotPrefix)) co_return copied;
  co_return Error(ErrorCode::not_found, "no snapshot " + from).with_slug("snapshot_not_found");
}

io::Task<void> Fleet::sync_disks(const DiskPlace&) {
  auto request = client_.send_sync();
  co_return co_await disk_job(std::move(request));
}

// The kernel counts what is written once it is on the disk.
io::Task<void> Fleet::check_holds(const DiskPlace& place, std::string id, Bytes most) {
  LMSB_CO_CHECK(co_await sync_disks(place));
  LMSB_CO_TRY(const std::uint64_t held, co_await weigh_disk(id));
  if (held <= most.count()) co_return Status();
  co_return Error(ErrorCode::failed_precondition, id + " holds more than " + format_bytes(most))
      .with_slug("limit_in_use")
      .with_hint("ask for " + format_bytes(Bytes(held)) + " at least");
}

io::Task<std::string> Fleet::next(SendNext send_next, std::string after) {
  if (launcher_gone_) co_return launcher_gone();
  LMSB_CO_TRY(const std::uint32_t request, (client_.*send_next)(after));
  auto answer = co_await answer_to(request);
  if (!answer.ok()) co_return std::move(answer).error();
  co_return std::move(answer->disk);
}

io::Task<std::set<std::string>> Fleet::list_disks(std::string prefix) {
  return list(&sandbox::LauncherClient::send_next_disk, std::move(prefix));
}

io::Task<std::set<std::string>> Fleet::list_strays() { return list(&sandbox::LauncherClient::send_next_stray, ""); }

io::Task<std::set<std::string>> Fleet::list_left() { return list(&sandbox::LauncherClient::send_next_left, ""); }

io::Task<std::set<std::string>> Fleet::list(SendNext send_next, std::string from) {
  std::set<std::string> there;
  for (std::string id = std::move(from);;) {
    LMSB_CO_TRY(id, co_await next(send_next, std::move(id)));
    if (id.empty()) co_return there;
    there.insert(id);
  }
}

void Fleet::forget_ready(const std::string& image) {
  for (const auto& pool : pools_)
    if (pool->kind.image == image) pool->ready.clear();
  refill();
}

void Fleet::keep_ready(PoolKind kind, std::size_t size) {
  auto pool = std::make_unique<Pool>();
  pool->kind = std::move(kind);
  pool->size = size;
  pools_.push_back(std::move(pool));
  refill();
}

void Fleet::refill() {
  if (draining_ || launcher_gone_) return;
  refill_is_due_ = waits_to_refill();
  if (refill_is_due_) return;
  for (const auto& pool : pools_)
    while (pool->failures_in_a_row < kMaxFailuresInARow && pool->ready.size() + pool->launching < pool->size &&
           destroying_ < options_.max_destroying) {
      ++pool->launching;
      io::spawn(loop_, prepare(this, pool.get()));
    }
}

// The launcher, once it has something to do, takes the processor from whoever woke it: the answer goes first.
void Fleet::do_chores_later() {
  if (std::exchange(chores_are_due_, true)) return;
  ++in_flight_;
  boost::asio::post(loop_, [this] {
    chores_are_due_ = false;
    discarded_.clear();
    if (refill_is_due_ || std::any_of(pools_.begin(), pools_.end(), [](const auto& pool) { return pool->is_low(); }))
      refill();
    --in_flight_;
    changed_.notify_all();
  });
}

bool Fleet::waits_to_refill() const {
  const auto is_needed = [](const auto& pool) {
    return pool->kind.lifetime == sandbox::Lifetime::kept && pool->ready.empty();
  };
  return claiming_ > 0 && std::none_of(pools_.begin(), pools_.end(), is_needed);
}

void Fleet::discard(Handle handle) {
  discarded_.push_back(std::move(handle));
  do_chores_later();
}

io::Always<void> Fleet::prepare(Fleet* fleet, Pool* pool) {
  auto handle = co_await fleet->launch(spec_of(pool->kind));
  --pool->launching;
  if (!handle.ok()) {
    ++pool->failures_in_a_row;
    fleet->log_.log(LogLevel::warning, "pool.launch_failed",
                    {{"image", pool->kind.image}, {"error", handle.error().message()}});
    co_return;
  }
  if (!fleet->draining_) pool->ready.push_back(*std::move(handle));
  fleet->refill();
}

io::Task<void> Fleet::wait_launcher_gone() {
  while (!launcher_gone_) LMSB_CO_CHECK(co_await changed_.wait());
  co_return Status();
}

io::Always<void> Fleet::drain() {
  draining_ = true;
  for (const auto& pool : pools_) pool->ready.clear();
  const io::Deadline deadline = io::Deadline::in(std::chrono::seconds(5));
  while ((destroying_ > 0 || in_flight_ > 1 || !held_.empty()) && !launcher_gone_) {
    const Status changed = co_await changed_.wait(deadline);
    if (changed.ok()) continue;
    const std::string count = std::to_string(held_.size() + destroying_);
    log_.log(LogLevel::warning, "daemon.not_drained", {{"sandboxes", count}});
    break;
  }
}

std::size_t Fleet::prepared() const {
  std::size_t count = 0;
  for (const auto& pool : pools_) count += pool->ready.size();
  return count;
}

}  // namespace lmsb::control
