#pragma once
// Life: how long a kept sandbox may live and stand idle, and whether it is in use now. Costs two additions a use: who
// watches over the limits asks when it is due (control/lifecycle.h). One thread; never blocks, cannot fail.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lmsb::control {

// How long what runs in a sandbox that is stopped has to end by itself, unless somebody says otherwise, and at most.
constexpr std::chrono::milliseconds kStopGrace{10'000};
constexpr std::chrono::milliseconds kMaxStopGrace{600'000};

// What happens to a sandbox at a limit of its life.
// stop: its disk stays, which only some sandboxes have.
enum class AtLimit : std::uint8_t { remove, pause, stop };
std::string_view to_string(AtLimit what);
std::optional<AtLimit> parse_at_limit(std::string_view text);

struct LifeLimits {
  std::chrono::milliseconds timeout{0};  // from when it was set; 0: none
  std::chrono::milliseconds idle{0};     // without use; 0: none
  AtLimit at_timeout = AtLimit::remove;
  AtLimit at_idle = AtLimit::pause;
};

// What somebody says of them; nothing = as it is.
struct LifeChanges {
  std::optional<std::chrono::milliseconds> timeout;
  std::optional<std::chrono::milliseconds> idle;
  std::optional<AtLimit> at_timeout;
  std::optional<AtLimit> at_idle;
  bool is_something() const { return timeout || idle || at_timeout || at_idle; }
};
LifeLimits with(LifeLimits limits, const LifeChanges& changes);

class Life {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Life(LifeLimits limits, Clock::time_point now = Clock::now());
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  // As long as it lives the sandbox is in use. It keeps the Life, not the sandbox.
  class Use {
   public:
    Use() = default;
    explicit Use(std::shared_ptr<Life> life);
    Use(Use&&) noexcept = default;
    Use& operator=(Use&& o) noexcept;
    ~Use();

   private:
    std::shared_ptr<Life> life_;
  };

  const LifeLimits& limits() const { return limits_; }
  // Sets new limits, which counts as a use; the timeout begins anew when `restart`.
  void set(LifeLimits limits, bool restart, Clock::time_point now = Clock::now());
  // It is paused or stopped, or cannot be: only a timeout that deletes goes on.
  void suspend() { is_suspended_ = true; }
  // It runs again: what was suspended begins anew.
  void resume(Clock::time_point now = Clock::now());
  // It has run all the time, for an earlier daemon.
  void go_on(Clock::time_point now = Clock::now());
  // It could not be paused or stopped, or not be deleted: that is not due for a minute.
  void put_off(AtLimit what, Clock::time_point now = Clock::now());
  static constexpr std::chrono::seconds kPutOff{60};

  struct Due {
    AtLimit what = AtLimit::remove;
    bool by_timeout = false;  // else for being idle
  };
  // What has come due; nothing: not yet.
  std::optional<Due> due(Clock::time_point now = Clock::now()) const;
  // The earliest moment at which something could be due: of a sandbox in use, if that ended now.
  std::optional<Clock::time_point> next(Clock::time_point now = Clock::now()) const;
  // When its timeout is over; nothing: never.
  std::optional<Clock::time_point> end() const;
  // It began so that it is over then.
  void set_end(Clock::time_point when) { timeout_from_ = when - limits_.timeout; }

 private:
  // When the sandbox could be idle for too long; nothing: never.
  std::optional<Clock::time_point> idle_end(Clock::time_point now) const;
  Clock::time_point not_before(AtLimit what, Clock::time_point when) const;

  LifeLimits limits_;
  Clock::time_point timeout_from_;
  Clock::time_point last_use_;
  Clock::time_point no_pause_before_ = Clock::time_point::min();
  Clock::time_point no_removal_before_ = Clock::time_point::min();
  std::uint32_t uses_ = 0;
  bool is_suspended_ = false;
};

}  // namespace lmsb::control
