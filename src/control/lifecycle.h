#pragma once
// Lifecycle: pausing and resuming, stopping and starting kept sandboxes, on request and at the limits of their lives.
//
// One task sleeps until the first limit that could be met, whatever the number of sandboxes; using one costs it
// nothing. One loop, one thread.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "control/event_log.h"
#include "control/on_their_way.h"
#include "control/registry.h"
#include "io/event.h"
#include "io/task.h"

namespace lmsb::control {

class Lifecycle {
 public:
  struct Parts {
    Registry& registry;
    EventLog& events;
    std::function<void(const std::string& id, const std::string& by)> remove;  // does not wait for the end of it
    // What the sandbox will have more than it has counts for its owner while what it gives is held: quota_exceeded.
    std::function<Result<std::shared_ptr<const void>>(const KeptSandbox& sandbox, const sandbox::Limits& limits)>
        take_quota;
    // Quotas::take_running().
    std::function<Result<std::shared_ptr<const void>>(KeptSandbox& sandbox)> take_running;
    // Fleet::change_limits(). Error, beside its own: no_memory.
    std::function<io::Task<void>(std::shared_ptr<SandboxHandle> sandbox, sandbox::Limits before,
                                 sandbox::Limits limits)>
        limit;
    std::function<Status(const network::Egress& egress)> check_egress;  // whether a sandbox may have it now
    // Networks::change(). Error, beside its own: no_memory.
    std::function<io::Task<void>(std::shared_ptr<SandboxHandle> sandbox, network::Egress egress)> change_network;
    std::function<io::Task<Capacity::Share>(const KeptSandbox& sandbox)> take_room;  // Admission::take_room()
    // Starts one again, on its disk. Errors, beside those of a launch: image_changed, image_not_found, disk_lost.
    std::function<io::Task<std::unique_ptr<SandboxHandle>>(const KeptSandbox& sandbox, Capacity::Share room)> launch;
    std::function<io::Task<void>(std::uint64_t serial)> wait_destroyed;  // Fleet::wait_destroyed()
    // What has happened to it, or is as it was before, is to outlive the daemon; does not wait.
    std::function<void(const KeptSandbox& sandbox)> save;
    // The same of what is to change; returns when it is written. Where that is an Error nothing is to change.
    std::function<io::Task<void>(const KeptSandbox& sandbox)> write;
  };
  // All references outlive it and its tasks.
  Lifecycle(boost::asio::io_context& loop, Parts parts, Logger& log);

  // What a sandbox lives by that was asked for without limits: one with a name was made to stay.
  static LifeLimits default_limits(const std::string& name, bool can_start_again);
  // None, or from a second to ten years. Errors: invalid_life.
  static Status check(const LifeLimits& limits);
  // Whether they can be those of such a sandbox. Errors: disk_not_kept.
  static Status check_disk(const LifeLimits& limits, bool keeps_disk);

  // Of a sandbox that is about to be added to the registry, and has its handle.
  void begin(KeptSandbox& sandbox, const LifeLimits& limits);
  // Errors, beside those of Registry::find(): sandbox_not_running, sandbox_stopping, pause_failed (after 10 s; it runs
  // then), sandbox_lost, cancelled, those of Parts::write (it runs then). A paused one is left alone.
  io::Task<SandboxInfo> pause(Principal who, std::string id_or_name);
  // The same without pause_failed: it stays paused. A running one is left alone.
  io::Task<SandboxInfo> resume(Principal who, std::string id_or_name);
  // Both go on when who waits for them goes away, up to 16 of one caller for a sandbox (sandbox_busy). A stopped, or a
  // running one is left alone. Errors of stop(), beside those of find(): disk_not_kept, sandbox_not_running. Of
  // start(): those of Parts::launch, write, take_room and take_running, mounts_not_kept, sandbox_not_running (a paused
  // one).
  // `room`: for who has it already. What runs in one that is stopped has `grace` to end by itself, or what is left of
  // an earlier stop's if that is less; in a paused one it has none.
  io::Task<SandboxInfo> stop(Principal who, std::string id_or_name, std::chrono::milliseconds grace);
  io::Task<SandboxInfo> start(Principal who, std::string id_or_name, Capacity::Share room = {});
  // Errors: invalid_life, too_many_labels, limit_fixed, limit_out_of_bounds, limit_in_use, quota_exceeded,
  // sandbox_not_running (limits of a failed one), network_fixed, those of Parts::write; nothing has been changed then.
  // And of a network: gate_lost or sandbox_lost, it is what was asked for.
  io::Task<SandboxInfo> update(Principal who, std::string id_or_name, UpdateSandbox changes);
  // Of one that has run on since an earlier daemon.
  // `is_paused`: as its last daemon left it. Errors: sandbox_lost (its guest has ended meanwhile).
  Status take_up(KeptSandbox& sandbox, std::shared_ptr<SandboxHandle> handle, bool is_paused);
  // Its limits are other ones since it was taken up.
  void note_limits(KeptSandbox& sandbox, const sandbox::Limits& limits);
  // One that ran when an earlier daemon ended, and does not any more.
  void note_stopped(const KeptSandbox& sandbox);
  // From now on what comes due is done; before, what an earlier daemon left is taken up.
  void watch_lives();
  // Its disk stays, and it does too when the daemon ends, until the end of its life.
  static void let_stay(const KeptSandbox& sandbox);
  // What was due of it could not be done: it is tried again after a minute. Of one that is gone nothing happens.
  void put_off(const std::string& id, const Error& why);
  // Of one whose life has been set, or has changed: what it says of it, and when it comes due.
  void watch_over(KeptSandbox& sandbox);
  // Whoever has it changes the sandbox's state, or copies its disk, alone.
  class Hold {
   public:
    Hold(Lifecycle& lifecycle, KeptSandbox& sandbox);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    // Error: sandbox_not_found, it was removed meanwhile.
    Result<KeptSandbox*> sandbox() const;

   private:
    std::weak_ptr<Lifecycle*> lifecycle_;  // which may go before a task that never ended
    std::string id_;
    std::shared_ptr<Move> move_;
  };
  // Once nobody else has it. Errors: those of Registry::find(), cancelled.
  io::Task<std::unique_ptr<Hold>> hold(Principal who, std::string id_or_name);
  // The event, for who follows and for the audit log.
  void tell(SandboxEvent::Kind kind, const KeptSandbox& sandbox, const std::string& by);

 private:
  // Notes in `changes` which credentials `who` gives by them.
  Status check(const Principal& who, const KeptSandbox& sandbox, UpdateSandbox& changes) const;
  // What an update has changed.
  struct Before {
    std::map<std::string, std::optional<std::string>> labels;
    std::optional<LifeLimits> life;  // nothing: it was not changed
    std::optional<Life::Clock::time_point> end;
    std::optional<network::Egress> egress;
  };
  // All of `changes` but their limits. They have been checked, but others may have added labels meanwhile.
  Result<Before> apply(KeptSandbox& sandbox, UpdateSandbox changes);
  // What could not be written down, or done, is as it was. Others may have written it down meanwhile: it is to be
  // written once more.
  void undo(KeptSandbox& sandbox, Before before);
  // An update with limits or of the network, which takes a while.
  io::Task<void> limit_now(std::string id, UpdateSandbox changes, Principal who);
  // `hold` outlives the task.
  io::Task<void> change_with(const Hold& hold, UpdateSandbox changes, sandbox::Limits limits);
  io::Task<void> write_with(const KeptSandbox& sandbox, const sandbox::Limits& limits);
  using Clock = Life::Clock;
  using MoveTo = std::function<io::Task<void>(std::string id, std::string by)>;
  io::Task<SandboxInfo> changed_by(MoveTo move, Principal who, std::string id_or_name);
  void hear(const KeptSandbox& sandbox);  // when its guest ends
  // Once nobody else is changing its state.
  io::Task<KeptSandbox*> settled(Principal who, std::string id_or_name);
  io::Task<void> pause_now(std::string id, std::string by);
  io::Task<void> stop_now(std::string id, std::string by, std::chrono::milliseconds grace);
  // `hold` outlives the task.
  io::Task<void> wind_down(const Hold& hold, std::string by, std::chrono::milliseconds grace);
  io::Task<void> put_down(const Hold& hold);
  io::Task<void> start_now(std::string id, std::string by, Capacity::Share room);
  void note_change(SandboxEvent::Kind kind, const KeptSandbox& sandbox, const std::string& by);
  void look_again_by(const Life& life);
  io::Task<void> wait_due();
  void end_what_is_due();
  static io::Always<void> watch(Lifecycle* self);
  static io::Always<void> end_if_due(Lifecycle* self, std::string id);
  bool end_without_waiting(KeptSandbox& sandbox);  // whether that was all
  void note_failed(const std::string& id);

  boost::asio::io_context& loop_;
  Parts parts_;
  Logger& log_;
  bool may_watch_ = false;
  bool is_watching_ = false;
  OnTheirWay moves_;  // stops and starts, by sandbox and who asked
  std::shared_ptr<std::set<std::string>> ending_ = std::make_shared<std::set<std::string>>();  // those due, in turn
  OnTheirWay limits_;  // changes of them, by who asked
  Clock::time_point next_look_ = Clock::time_point::max();
  io::Event earlier_;                                                      // next_look_ has been moved forward
  std::shared_ptr<Lifecycle*> self_ = std::make_shared<Lifecycle*>(this);  // for callbacks that may outlive it
};

// Of a sandbox that was made with directories of the machine.
Error mounts_not_kept(const std::string& id);
// sandbox_not_running, or disk_lost.
Error not_running(const KeptSandbox& sandbox);

}  // namespace lmsb::control
