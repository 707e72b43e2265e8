#include "control/lifecycle.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "control/names.h"
#include "control/policy.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kDefaultIdle{3'600'000};
constexpr milliseconds kShortest{1000};
constexpr milliseconds kLongest{10LL * 366 * 24 * 3600 * 1000};
constexpr milliseconds kBetweenLooks{100};  // at least

Principal daemon_itself() { return {"daemon", true}; }

// That a task is at work on what is due of a sandbox. It may go after all else.
class Ending {
 public:
  Ending(std::shared_ptr<std::set<std::string>> all, std::string id) : all_(std::move(all)), id_(std::move(id)) {
    all_->insert(id_);
  }
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  ~Ending() { all_->erase(id_); }

 private:
  const std::shared_ptr<std::set<std::string>> all_;
  const std::string id_;
};

}  // namespace

Lifecycle::Lifecycle(boost::asio::io_context& loop, Parts parts, Logger& log)
    : loop_(loop),
      parts_(std::move(parts)),
      log_(log),
      moves_(loop, "stops and starts of this sandbox"),
      limits_(loop, "changes of limits"),
      earlier_(loop) {}

LifeLimits Lifecycle::default_limits(const std::string& name, bool can_start_again) {
  LifeLimits limits;
  if (name.empty()) limits.idle = kDefaultIdle;
  if (can_start_again) limits.at_idle = AtLimit::stop;
  return limits;
}

Status Lifecycle::check(const LifeLimits& limits) {
  for (const milliseconds limit : {limits.timeout, limits.idle})
    if (limit.count() != 0 && (limit < kShortest || limit > kLongest))
      return Error(ErrorCode::invalid_argument,
                   "a limit of a sandbox's life is 0 (none), or from a second to ten years")
          .with_slug("invalid_life")
          .with_hint("they are in milliseconds: an hour is 3600000");
  return {};
}

Status Lifecycle::check_disk(const LifeLimits& limits, bool keeps_disk) {
  if (keeps_disk || (limits.at_idle != AtLimit::stop && limits.at_timeout != AtLimit::stop)) return {};
  return Error(ErrorCode::failed_precondition, "the sandbox cannot be stopped: its disk lies in memory")
      .with_slug("disk_not_kept")
      .with_hint("on_idle and on_timeout can be pause or delete");
}

void Lifecycle::begin(KeptSandbox& sandbox, const LifeLimits& limits) {
  sandbox.life = std::make_shared<Life>(limits);
  hear(sandbox);
  watch_over(sandbox);
}

// What stands still and was not paused stands still because the daemon ended in the middle of copying its disk, or of
// pausing it.
Status Lifecycle::take_up(KeptSandbox& sandbox, std::shared_ptr<SandboxHandle> handle, bool is_paused) {
  if (!is_paused) LMSB_CHECK(handle->resume());
  if (handle->channel().is_closed())
    return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost");
  handle->keep_disk();
  sandbox.handle = std::move(handle);
  hear(sandbox);
  sandbox.move_to(SandboxState::running);
  if (is_paused) {
    sandbox.move_to(SandboxState::paused);
  } else {
    sandbox.life->go_on();
  }
  watch_over(sandbox);
  return {};
}

void Lifecycle::note_limits(KeptSandbox& sandbox, const sandbox::Limits& limits) {
  sandbox.info.limits = limits;
  parts_.save(sandbox);
  note_change(SandboxEvent::Kind::updated, sandbox, "daemon");
}

void Lifecycle::note_stopped(const KeptSandbox& sandbox) {
  parts_.save(sandbox);
  note_change(SandboxEvent::Kind::stopped, sandbox, "daemon");
}

void Lifecycle::watch_lives() {
  may_watch_ = true;
  if (next_look_ != Clock::time_point::max() && !std::exchange(is_watching_, true)) io::spawn(loop_, watch(this));
}

// While there is no daemon nobody pauses it, and nobody counts its idle time.
void Lifecycle::let_stay(const KeptSandbox& sandbox) {
  if (!sandbox.handle || !sandbox.handle->stays()) return;
  const auto end = sandbox.life->limits().at_timeout == AtLimit::pause ? std::nullopt : sandbox.life->end();
  const auto left = end ? std::chrono::ceil<milliseconds>(*end - Life::Clock::now()) : milliseconds(0);
  sandbox.handle->stay(end ? std::max(left, milliseconds(1)) : milliseconds(0));
}

void Lifecycle::hear(const KeptSandbox& sandbox) {
  const std::weak_ptr<Lifecycle*> weak = self_;
  sandbox.handle->channel().on_closed([weak, id = sandbox.info.id] {
    if (const auto self = weak.lock()) (*self)->note_failed(id);
  });
}

// What the sandbox says of its life follows; the same end is the same text each time.
void Lifecycle::watch_over(KeptSandbox& sandbox) {
  look_again_by(*sandbox.life);
  let_stay(sandbox);
  sandbox.info.life = sandbox.life->limits();
  const auto end = sandbox.life->end();
  if (end == sandbox.told_end) return;
  sandbox.told_end = end;
  sandbox.info.expires_at.reset();
  if (end) sandbox.info.expires_at = rfc3339_in(std::chrono::ceil<milliseconds>(*end - Life::Clock::now()));
}

void Lifecycle::tell(SandboxEvent::Kind kind, const KeptSandbox& sandbox, const std::string& by) {
  Event event;
  event.type = "sandbox." + std::string(to_string(kind));
  event.sandbox = sandbox.info.id;
  event.name = sandbox.info.name;
  event.owner = sandbox.owner;
  event.labels = sandbox.info.labels;
  event.by = by;
  parts_.events.add(std::move(event));
}

void Lifecycle::note_change(SandboxEvent::Kind kind, const KeptSandbox& sandbox, const std::string& by) {
  log_.log(LogLevel::info, "sandbox.changed", {{"id", sandbox.info.id}, {"event", to_string(kind)}, {"by", by}});
  tell(kind, sandbox, by);
}

Status Lifecycle::check(const Principal& who, const KeptSandbox& sandbox, UpdateSandbox& changes) const {
  const LifeLimits life = with(sandbox.life->limits(), changes.life);
  LMSB_CHECK(check(life));
  LMSB_CHECK(check_disk(life, sandbox.info.keeps_disk));
  auto labels = sandbox.info.labels;
  LMSB_CHECK(change_labels(labels, changes.labels));
  if (changes.egress) note_given(who, *changes.egress, sandbox.info.egress);
  if (changes.egress) LMSB_CHECK(parts_.check_egress(*changes.egress));
  if (!changes.limits.is_something()) return {};
  LMSB_CHECK(changed(sandbox.made_with, sandbox.info.limits, changes.limits));
  return sandbox.state() == SandboxState::failed ? Status(not_running(sandbox)) : Status();
}

Result<Lifecycle::Before> Lifecycle::apply(KeptSandbox& sandbox, UpdateSandbox changes) {
  Before before;
  for (const auto& [name, value] : changes.labels) {
    const auto found = sandbox.info.labels.find(name);
    before.labels[name] = found == sandbox.info.labels.end() ? std::nullopt : std::optional(found->second);
  }
  LMSB_CHECK(change_labels(sandbox.info.labels, std::move(changes.labels)));
  if (changes.egress) before.egress = std::exchange(sandbox.info.egress, *std::move(changes.egress));
  if (changes.life.is_something()) {
    before.life = sandbox.life->limits();
    before.end = sandbox.life->end();
    sandbox.life->set(with(sandbox.life->limits(), changes.life), changes.life.timeout.has_value());
    watch_over(sandbox);
  }
  return before;
}

void Lifecycle::undo(KeptSandbox& sandbox, Before before) {
  (void)change_labels(sandbox.info.labels, std::move(before.labels));  // there are no more than there were
  if (before.egress) sandbox.info.egress = *std::move(before.egress);
  if (!before.life) return;
  sandbox.life->set(*before.life, false);
  if (before.end) sandbox.life->set_end(*before.end);
  watch_over(sandbox);
}

// What is written is what was asked for, and nobody is told of it before.
io::Task<SandboxInfo> Lifecycle::update(Principal who, std::string id_or_name, UpdateSandbox changes) {
  LMSB_CO_TRY(KeptSandbox * sandbox, parts_.registry.find(who, id_or_name));
  const std::string id = sandbox->info.id;
  LMSB_CO_CHECK(check(who, *sandbox, changes));
  if (changes.limits.is_something() || changes.egress) {
    auto limiting = limit_now(id, std::move(changes), who);
    LMSB_CO_CHECK(co_await limits_.carry_out(who.name, std::move(limiting)));
  } else if (!changes.labels.empty() || changes.life.is_something()) {
    const auto told_end = sandbox->info.expires_at;
    LMSB_CO_TRY(Before before, apply(*sandbox, std::move(changes)));
    Status written = co_await parts_.write(*sandbox);
    LMSB_CO_TRY(sandbox, parts_.registry.get(id));
    if (!written.ok()) {
      undo(*sandbox, std::move(before));
      sandbox->info.expires_at = told_end;  // the same end is the same text
      parts_.save(*sandbox);
      co_return std::move(written).error();
    }
    note_change(SandboxEvent::Kind::updated, *sandbox, who.name);
  }
  LMSB_CO_TRY(sandbox, parts_.registry.find(who, id));
  co_return sandbox->describe();
}

// A task of its own: the launcher changes the limits whether the client waits for it or not. What was checked before is
// checked again: others may have changed the sandbox meanwhile, or taken away what was only to be kept.
io::Task<void> Lifecycle::limit_now(std::string id, UpdateSandbox changes, Principal who) {
  LMSB_CO_TRY(KeptSandbox * sandbox, co_await settled(daemon_itself(), id));
  LMSB_CO_CHECK(check(who, *sandbox, changes));
  LMSB_CO_TRY(const sandbox::Limits limits, changed(sandbox->made_with, sandbox->info.limits, changes.limits));
  const Hold hold(*this, *sandbox);
  const auto handle = sandbox->handle;
  const std::optional<network::Egress> egress = changes.egress;
  // One that has no network yet is given it before all else: that may be impossible.
  const bool begins = handle && !handle->network && egress && egress->mode != network::Mode::none;
  if (begins) LMSB_CO_CHECK(co_await parts_.change_network(handle, *egress));
  Status done = co_await change_with(hold, std::move(changes), limits);
  if (!done.ok() && begins) handle->drop_network();
  LMSB_CO_CHECK(std::move(done));
  if (egress && handle && !begins) done = co_await parts_.change_network(handle, *egress);  // else it will be in force
  LMSB_CO_TRY(sandbox, hold.sandbox());
  note_change(SandboxEvent::Kind::updated, *sandbox, who.name);
  // The operator may have come to allow less while its first network was written down.
  if (begins && handle && !parts_.check_egress(sandbox->info.egress).ok())
    LMSB_CO_CHECK(co_await parts_.change_network(handle, network::Egress()));
  co_return done;
}

// Written down before any of it is in force: what cannot be written is not changed, and what was taken away does not
// come back, whenever this daemon ends. What it will have more counts for its owner until it has it, and what it has
// until it has less.
io::Task<void> Lifecycle::change_with(const Hold& hold, UpdateSandbox changes, sandbox::Limits limits) {
  LMSB_CO_TRY(KeptSandbox * sandbox, hold.sandbox());
  const bool limits_it = changes.limits.is_something();
  std::shared_ptr<const void> growth;
  if (limits_it) {
    LMSB_CO_TRY(growth, parts_.take_quota(*sandbox, limits));
  }
  const auto told_end = sandbox->info.expires_at;
  LMSB_CO_TRY(Before before, apply(*sandbox, std::move(changes)));
  Status done = co_await write_with(*sandbox, limits);
  LMSB_CO_TRY(sandbox, hold.sandbox());
  const auto handle = sandbox->handle;
  if (done.ok() && limits_it && handle) done = co_await parts_.limit(handle, sandbox->info.limits, limits);
  LMSB_CO_TRY(sandbox, hold.sandbox());
  if (!done.ok()) {
    undo(*sandbox, std::move(before));
    sandbox->info.expires_at = told_end;
    parts_.save(*sandbox);  // others may have written it down meanwhile
    co_return done;
  }
  sandbox->info.limits = limits;
  if (limits_it) parts_.save(*sandbox);  // others may have written meanwhile what it still had
  co_return done;
}

io::Task<void> Lifecycle::write_with(const KeptSandbox& sandbox, const sandbox::Limits& limits) {
  KeptSandbox meant = sandbox;  // its row is made before write() returns
  meant.info.limits = limits;
  return parts_.write(meant);
}

// ---- What comes due

void Lifecycle::look_again_by(const Life& life) {
  const auto next = life.next();
  if (!next || *next >= next_look_) return;
  next_look_ = *next;
  earlier_.notify_all();
  if (may_watch_ && !std::exchange(is_watching_, true)) io::spawn(loop_, watch(this));
}

// Cancelled, and then without looking at `self` again, when that is gone.
io::Always<void> Lifecycle::watch(Lifecycle* self) {
  while (true) {
    const Status woken = co_await self->wait_due();
    if (!woken.ok()) co_return;
    self->end_what_is_due();
  }
}

io::Task<void> Lifecycle::wait_due() {
  while (Clock::now() < next_look_) {
    Status woken = co_await earlier_.wait(io::Deadline::at(next_look_));
    if (!woken.ok() && woken.error().code() != ErrorCode::deadline_exceeded) co_return woken;
  }
  co_return Status();
}

void Lifecycle::end_what_is_due() {
  const auto now = Clock::now();
  next_look_ = Clock::time_point::max();
  std::vector<std::string> due;
  for (const auto& [id, sandbox] : parts_.registry.all()) {
    if (sandbox.life->due(now)) {
      due.push_back(id);
    } else if (const auto next = sandbox.life->next(now)) {
      next_look_ = std::min(next_look_, std::max(*next, now + kBetweenLooks));
    }
  }
  for (std::string& id : due) io::spawn(loop_, end_if_due(this, std::move(id)));
}

// A removal waits for nobody: what changes the sandbox ends with it. A stop that is on its way is the one that is due.
bool Lifecycle::end_without_waiting(KeptSandbox& sandbox) {
  if (sandbox.removing) return true;
  const auto due = sandbox.life->due();
  if (due && due->what == AtLimit::remove) {
    const std::string id = sandbox.info.id;
    parts_.remove(id, due->by_timeout ? "timeout" : "idle");
    return true;
  }
  if (!due || due->what != AtLimit::stop || !sandbox.is_stopping) return false;
  sandbox.handle->hurry(io::Deadline::in(kStopGrace));
  return true;
}

// What is due may be another thing, or nothing, once nobody else is changing the state of the sandbox. Of one sandbox
// one task waits for that.
io::Always<void> Lifecycle::end_if_due(Lifecycle* self, std::string id) {
  const auto found = self->parts_.registry.get(id);
  if (!found.ok()) co_return;  // it is gone
  const bool was_all = self->end_without_waiting(**found);
  if (was_all || self->ending_->contains(id)) co_return;
  const Ending ending(self->ending_, id);
  auto settled = co_await self->settled(daemon_itself(), id);
  if (!settled.ok()) co_return;
  KeptSandbox& sandbox = **settled;
  const auto due = sandbox.life->due();
  std::string by = due && due->by_timeout ? "timeout" : "idle";
  if (due && due->what == AtLimit::remove) {
    self->parts_.remove(id, by);
  } else if (due && due->what == AtLimit::stop && may_move(sandbox.state(), SandboxState::stopped)) {
    const Status stopped = co_await self->stop_now(id, by, kStopGrace);
    if (!stopped.ok()) self->put_off(id, stopped.error());
  } else if (due && due->what == AtLimit::pause && may_move(sandbox.state(), SandboxState::paused)) {
    const Status paused = co_await self->pause_now(id, by);
    if (!paused.ok()) self->put_off(id, paused.error());
  } else {
    if (due) sandbox.life->suspend();  // it is paused or stopped already, or has failed
    self->watch_over(sandbox);
  }
}

void Lifecycle::put_off(const std::string& id, const Error& why) {
  const auto found = parts_.registry.get(id);
  if (!found.ok()) return;
  const auto due = (*found)->life->due();
  if (!due) return;
  log_.log(LogLevel::warning, "sandbox.limit_failed", {{"id", id}, {"error", why.message()}});
  (*found)->life->put_off(due->what);
  look_again_by(*(*found)->life);
}

// Its guest has ended, and with it everything in it. One that was deleted is no longer in the registry; one that was
// stopped meanwhile has no guest.
void Lifecycle::note_failed(const std::string& id) {
  const auto found = parts_.registry.get(id);
  if (!found.ok() || (*found)->state() != SandboxState::failed) return;
  log_.log(LogLevel::warning, "sandbox.failed", {{"id", id}});
  tell(SandboxEvent::Kind::failed, **found, "guest");
}

}  // namespace lmsb::control
