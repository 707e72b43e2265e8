#pragma once
// Lifecycle: pausing and resuming kept sandboxes, on request and at the limits of their lives.
//
// One task sleeps until the first limit that could be met, whatever the number of sandboxes; using one costs it
// nothing. One loop, one thread.
#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "control/event_log.h"
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
  };
  // All references outlive it and its tasks.
  Lifecycle(boost::asio::io_context& loop, Parts parts, Logger& log);

  // What a sandbox lives by that was asked for without limits: one with a name was made to stay.
  static LifeLimits default_limits(const std::string& name);
  // None, or from a second to ten years. Errors: invalid_life.
  static Status check(const LifeLimits& limits);

  // Of a sandbox that is about to be added to the registry, and has its handle.
  void begin(KeptSandbox& sandbox, const LifeLimits& limits);
  // Errors, beside those of Registry::find(): sandbox_not_running, pause_failed (after 10 s; it runs then),
  // sandbox_lost, cancelled (it runs then). A paused one is left alone.
  io::Task<SandboxInfo> pause(Principal who, std::string id_or_name);
  // The same without pause_failed. A running one is left alone.
  io::Task<SandboxInfo> resume(Principal who, std::string id_or_name);
  // Errors: invalid_life, too_many_labels; nothing has been changed then.
  Result<SandboxInfo> update(const Principal& who, const std::string& id_or_name, UpdateSandbox changes);
  // The event, for who follows and for the audit log.
  void tell(SandboxEvent::Kind kind, const KeptSandbox& sandbox, const std::string& by);

 private:
  using Clock = Life::Clock;
  class Moving;
  // Once nobody else is changing its state.
  io::Task<KeptSandbox*> settled(Principal who, std::string id_or_name);
  io::Task<void> pause_now(std::string id, std::string by);
  void note_change(SandboxEvent::Kind kind, const KeptSandbox& sandbox, const std::string& by);
  void look_again_by(const Life& life);
  io::Task<void> wait_due();
  void end_what_is_due();
  static io::Always<void> watch(Lifecycle* self);
  static io::Always<void> end_if_due(Lifecycle* self, std::string id);
  void put_off(const std::string& id, const Error& why);
  void note_failed(const std::string& id);

  boost::asio::io_context& loop_;
  Parts parts_;
  Logger& log_;
  bool is_watching_ = false;
  Clock::time_point next_look_ = Clock::time_point::max();
  io::Event earlier_;                                                      // next_look_ has been moved forward
  std::shared_ptr<Lifecycle*> self_ = std::make_shared<Lifecycle*>(this);  // for callbacks that may outlive it
};

}  // namespace lmsb::control
