// The moves between the states of a kept sandbox: pausing, resuming, stopping, starting (sandbox_state.h).
#include <utility>

#include "control/fleet.h"
#include "control/lifecycle.h"
#include "control/processes.h"

namespace lmsb::control {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPauseLimit{10'000};  // for all of a sandbox's processes to stand still
constexpr milliseconds kLastWords{2'000};    // for who follows what has ended to get all of it

Error disk_not_kept(const std::string& id) {
  return Error(ErrorCode::failed_precondition, "the disk of sandbox " + id + " lies in memory and would be lost")
      .with_slug("disk_not_kept")
      .with_hint("pause it, or delete it; lm-sandbox doctor says why disks are not kept on this machine");
}

Principal daemon_itself() { return {"daemon", true}; }

// While it lives the sandbox, if it is still there, says that it is being stopped.
class Stopping {
 public:
  Stopping(const Lifecycle::Hold& hold, KeptSandbox& sandbox) : hold_(hold) { sandbox.is_stopping = true; }
  ~Stopping() {
    if (const auto sandbox = hold_.sandbox(); sandbox.ok()) (*sandbox)->is_stopping = false;
  }
  Stopping(const Stopping&) = delete;
  Stopping& operator=(const Stopping&) = delete;

 private:
  const Lifecycle::Hold& hold_;
};

}  // namespace

Error mounts_not_kept(const std::string& id) {
  return Error(ErrorCode::failed_precondition,
               "sandbox " + id + " was made with directories of the machine, which only their owner can hand over")
      .with_slug("mounts_not_kept")
      .with_hint("make another one with -v; copy what it wrote from this one while it runs");
}

Error not_running(const KeptSandbox& sandbox) {
  if (sandbox.state() == SandboxState::lost) return disk_lost(sandbox.info.id);
  return Error(ErrorCode::failed_precondition, "the sandbox is " + std::string(to_string(sandbox.state())))
      .with_slug("sandbox_not_running")
      .with_hint(sandbox.state() == SandboxState::paused ? "let it go on first: POST .../resume, or lm-sandbox resume"
                                                         : "start it first: POST .../start, or lm-sandbox start");
}

io::Task<KeptSandbox*> Lifecycle::settled(Principal who, std::string id_or_name) {
  LMSB_CO_TRY(KeptSandbox * found, parts_.registry.find(who, id_or_name));
  const std::string id = found->info.id;
  while (const auto moving = found->moving) {
    while (!moving->is_over) LMSB_CO_CHECK(co_await moving->ended.wait());
    LMSB_CO_TRY(found, parts_.registry.find(who, id));
  }
  co_return found;
}

// The state says `paused` from the beginning, so that nothing starts meanwhile; it is running again if it fails, or if
// it cannot be written down: who was told of it finds it so, also when the daemon is killed the moment after.
io::Task<void> Lifecycle::pause_now(std::string id, std::string by) {
  LMSB_CO_TRY(KeptSandbox * sandbox, parts_.registry.get(id));
  if (!may_move(sandbox->state(), SandboxState::paused)) co_return not_running(*sandbox);
  const auto handle = sandbox->handle;
  const Hold hold(*this, *sandbox);
  sandbox->move_to(SandboxState::paused);
  const Status paused = co_await handle->pause(io::Deadline::in(kPauseLimit));
  LMSB_CO_TRY(sandbox, hold.sandbox());
  if (!paused.ok()) {
    sandbox->move_to(SandboxState::running);
    co_return paused;
  }
  sandbox->life->suspend();
  watch_over(*sandbox);
  const Status written = co_await parts_.write(*sandbox);
  LMSB_CO_TRY(sandbox, hold.sandbox());
  if (!written.ok()) {
    (void)handle->resume();  // Error: its guest has ended meanwhile
    sandbox->move_to(SandboxState::running);
    sandbox->life->go_on();
    watch_over(*sandbox);
    parts_.save(*sandbox);  // others may have written it down meanwhile
    co_return written;
  }
  note_change(SandboxEvent::Kind::paused, *sandbox, by);
  co_return Status();
}

io::Task<SandboxInfo> Lifecycle::pause(Principal who, std::string id_or_name) {
  LMSB_CO_TRY(const KeptSandbox* sandbox, parts_.registry.find(who, id_or_name));
  if (sandbox->is_stopping) co_return being_stopped(sandbox->info.id);
  LMSB_CO_TRY(sandbox, co_await settled(who, std::move(id_or_name)));
  const std::string id = sandbox->info.id;
  if (sandbox->state() != SandboxState::paused) LMSB_CO_CHECK(co_await pause_now(id, who.name));
  LMSB_CO_TRY(sandbox, parts_.registry.find(who, id));
  co_return sandbox->describe();
}

// It is written down before it goes on, and says that it runs when it does: a daemon that finds `running` written down
// has it go on, whatever it finds standing still.
io::Task<SandboxInfo> Lifecycle::resume(Principal who, std::string id_or_name) {
  LMSB_CO_TRY(KeptSandbox * sandbox, co_await settled(who, std::move(id_or_name)));
  const SandboxState state = sandbox->state();
  if (state == SandboxState::running) co_return sandbox->describe();
  if (state != SandboxState::paused) co_return not_running(*sandbox);
  const Hold hold(*this, *sandbox);
  sandbox->state_to_be = SandboxState::running;
  Status going_on = co_await parts_.write(*sandbox);
  LMSB_CO_TRY(sandbox, hold.sandbox());
  sandbox->state_to_be.reset();
  const bool is_there = sandbox->state() == SandboxState::paused;  // else its guest has ended meanwhile
  if (is_there && going_on.ok()) going_on = sandbox->handle->resume();
  if (!is_there || !going_on.ok()) parts_.save(*sandbox);  // as it is; others may have written it down meanwhile
  if (!is_there) co_return not_running(*sandbox);
  LMSB_CO_CHECK(std::move(going_on));
  sandbox->move_to(SandboxState::running);
  sandbox->life->resume();
  watch_over(*sandbox);
  note_change(SandboxEvent::Kind::resumed, *sandbox, who.name);
  co_return sandbox->describe();
}

Lifecycle::Hold::Hold(Lifecycle& lifecycle, KeptSandbox& sandbox)
    : lifecycle_(lifecycle.self_), id_(sandbox.info.id), move_(std::make_shared<Move>(lifecycle.loop_)) {
  sandbox.moving = move_;
}

Lifecycle::Hold::~Hold() {
  const auto found = sandbox();
  if (found.ok() && (*found)->moving == move_) (*found)->moving.reset();
  move_->is_over = true;
  move_->ended.notify_all();
}

Result<KeptSandbox*> Lifecycle::Hold::sandbox() const {
  const auto lifecycle = lifecycle_.lock();
  if (!lifecycle) return Fleet::daemon_ends();
  return (*lifecycle)->parts_.registry.get(id_);
}

io::Task<std::unique_ptr<Lifecycle::Hold>> Lifecycle::hold(Principal who, std::string id_or_name) {
  LMSB_CO_TRY(KeptSandbox * sandbox, co_await settled(std::move(who), std::move(id_or_name)));
  co_return std::make_unique<Hold>(*this, *sandbox);
}

// Carried out whether the client waits for it or not. That bounds them, as there are only so many sandboxes.
io::Task<SandboxInfo> Lifecycle::changed_by(MoveTo move, Principal who, std::string id_or_name) {
  LMSB_CO_TRY(const KeptSandbox* sandbox, parts_.registry.find(who, id_or_name));
  const std::string id = sandbox->info.id;
  auto task = move(id, who.name);
  std::string by = id + "\n" + who.name;
  LMSB_CO_CHECK(co_await moves_.carry_out(std::move(by), std::move(task)));
  LMSB_CO_TRY(sandbox, parts_.registry.find(who, id));
  co_return sandbox->describe();
}

io::Task<SandboxInfo> Lifecycle::stop(Principal who, std::string id_or_name, milliseconds grace) {
  MoveTo stop = [this, grace](std::string id, std::string by) { return stop_now(std::move(id), std::move(by), grace); };
  co_return co_await changed_by(std::move(stop), std::move(who), std::move(id_or_name));
}

io::Task<SandboxInfo> Lifecycle::start(Principal who, std::string id_or_name, Capacity::Share room) {
  MoveTo start = [this, held = std::make_shared<Capacity::Share>(std::move(room))](std::string id, std::string by) {
    return start_now(std::move(id), std::move(by), std::move(*held));
  };
  co_return co_await changed_by(std::move(start), std::move(who), std::move(id_or_name));
}

// Of what has ended in time the verdicts are known, and who follows it has all that it wrote.
io::Task<void> Lifecycle::wind_down(const Hold& hold, std::string by, milliseconds grace) {
  LMSB_CO_TRY(KeptSandbox * sandbox, hold.sandbox());
  const auto handle = sandbox->handle;
  const auto table = sandbox->processes;
  const Stopping stopping(hold, *sandbox);
  note_change(SandboxEvent::Kind::stopping, *sandbox, by);
  table->hang_up();
  Status ended = co_await handle->wind_down(io::Deadline::in(grace));
  if (ended.ok()) (void)co_await table->wait_heard(io::Deadline::in(kLastWords));
  LMSB_CO_TRY(sandbox, hold.sandbox());
  if (!ended.ok() && ended.error().code() == ErrorCode::cancelled) co_return ended;
  co_return Status();  // what still runs is killed
}

// Once nothing runs in it any more, or is to be killed, the state says `stopped`, so that nothing starts meanwhile.
// Whoever waits in it lets go of it soon. It counts for its owner until what it had is given back.
io::Task<void> Lifecycle::stop_now(std::string id, std::string by, milliseconds grace) {
  LMSB_CO_TRY(KeptSandbox * sandbox, parts_.registry.get(id));
  if (sandbox->is_stopping) sandbox->handle->hurry(io::Deadline::in(grace));
  LMSB_CO_TRY(sandbox, co_await settled(daemon_itself(), id));
  if (sandbox->state() == SandboxState::stopped) co_return Status();
  if (!sandbox->info.keeps_disk) co_return disk_not_kept(id);
  if (!may_move(sandbox->state(), SandboxState::stopped)) co_return not_running(*sandbox);
  const Hold hold(*this, *sandbox);
  if (grace.count() > 0 && sandbox->state() == SandboxState::running && sandbox->handle->has_work()) {
    LMSB_CO_CHECK(co_await wind_down(hold, by, grace));
    LMSB_CO_TRY(sandbox, hold.sandbox());
  }
  LMSB_CO_CHECK(co_await put_down(hold));
  LMSB_CO_TRY(sandbox, hold.sandbox());
  // Where it cannot be written down it is so all the same: a daemon that finds nothing of it running has it stopped.
  parts_.save(*sandbox);
  note_change(SandboxEvent::Kind::stopped, *sandbox, by);
  co_return Status();
}

// All that runs in it is killed, and what it had given back.
io::Task<void> Lifecycle::put_down(const Hold& hold) {
  LMSB_CO_TRY(KeptSandbox * sandbox, hold.sandbox());
  LMSB_CO_TRY(const auto counts, parts_.take_running(*sandbox));
  sandbox->move_to(SandboxState::stopped);
  sandbox->life->suspend();
  watch_over(*sandbox);
  auto handle = std::exchange(sandbox->handle, nullptr);  // before it ends: that is nobody's failure
  const std::uint64_t serial = handle->serial();
  handle->end();
  handle.reset();
  sandbox->processes = std::make_shared<ProcessTable>(loop_);
  co_return co_await parts_.wait_destroyed(serial);
}

// Whoever waits for memory does not hold the sandbox: it can be deleted meanwhile. It counts for its owner from before
// he waits: what he may not have he is refused at once.
io::Task<void> Lifecycle::start_now(std::string id, std::string by, Capacity::Share room) {
  LMSB_CO_TRY(KeptSandbox * sandbox, co_await settled(daemon_itself(), id));
  if (sandbox->state() == SandboxState::failed) {
    LMSB_CO_CHECK(co_await stop_now(id, by, milliseconds(0)));
    LMSB_CO_TRY(sandbox, co_await settled(daemon_itself(), id));
  }
  const bool may_start = sandbox->state() == SandboxState::stopped && !sandbox->has_mounts;
  std::shared_ptr<const void> counts;
  if (may_start) {
    LMSB_CO_TRY(counts, parts_.take_running(*sandbox));
  }
  if (may_start && !room.is_something()) {
    LMSB_CO_TRY(room, co_await parts_.take_room(*sandbox));
    LMSB_CO_TRY(sandbox, co_await settled(daemon_itself(), id));
  }
  if (sandbox->state() == SandboxState::running) co_return Status();
  if (sandbox->state() != SandboxState::stopped) co_return not_running(*sandbox);
  if (sandbox->has_mounts) co_return mounts_not_kept(id);
  const Hold hold(*this, *sandbox);
  auto handle = co_await parts_.launch(*sandbox, std::move(room));
  auto found = hold.sandbox();
  if (!found.ok()) {  // it was removed meanwhile: who removes it waits for this, and then removes its disk
    if (!handle.ok()) co_return std::move(found).error();
    const std::uint64_t serial = (*handle)->serial();
    handle->reset();
    LMSB_CO_CHECK(co_await parts_.wait_destroyed(serial));
    co_return std::move(found).error();
  }
  sandbox = *found;
  if (!handle.ok()) {
    const bool is_lost = handle.error().slug() == "disk_lost" && may_move(sandbox->info.state, SandboxState::lost);
    if (is_lost) sandbox->move_to(SandboxState::lost);
    co_return std::move(handle).error();
  }
  sandbox->handle = *std::move(handle);
  sandbox->made_with = sandbox->info.limits;
  hear(*sandbox);
  sandbox->move_to(SandboxState::running);
  sandbox->life->resume();
  watch_over(*sandbox);
  Status written = co_await parts_.write(*sandbox);
  LMSB_CO_TRY(sandbox, hold.sandbox());
  if (!written.ok()) LMSB_CO_CHECK(co_await put_down(hold));
  LMSB_CO_CHECK(std::move(written));
  note_change(SandboxEvent::Kind::started, *sandbox, by);
  co_return Status();
}

}  // namespace lmsb::control
