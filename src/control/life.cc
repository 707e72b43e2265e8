#include "control/life.h"

#include <algorithm>
#include <utility>

namespace lmsb::control {

std::string_view to_string(AtLimit what) {
  switch (what) {
    case AtLimit::remove: return "delete";
    case AtLimit::pause: return "pause";
    case AtLimit::stop: return "stop";
  }
  return "delete";
}

std::optional<AtLimit> parse_at_limit(std::string_view text) {
  for (const AtLimit what : {AtLimit::remove, AtLimit::pause, AtLimit::stop})
    if (text == to_string(what)) return what;
  return std::nullopt;
}

LifeLimits with(LifeLimits limits, const LifeChanges& changes) {
  limits.timeout = changes.timeout.value_or(limits.timeout);
  limits.idle = changes.idle.value_or(limits.idle);
  limits.at_timeout = changes.at_timeout.value_or(limits.at_timeout);
  limits.at_idle = changes.at_idle.value_or(limits.at_idle);
  return limits;
}

Life::Use::Use(std::shared_ptr<Life> life) : life_(std::move(life)) { ++life_->uses_; }

Life::Use& Life::Use::operator=(Use&& o) noexcept {
  std::swap(life_, o.life_);
  return *this;
}

Life::Use::~Use() {
  if (!life_) return;
  --life_->uses_;
  life_->last_use_ = Clock::now();
}

Life::Life(LifeLimits limits, Clock::time_point now) { set(limits, true, now); }

void Life::set(LifeLimits limits, bool restart, Clock::time_point now) {
  limits_ = limits;
  last_use_ = now;
  if (restart) timeout_from_ = now;
}

void Life::resume(Clock::time_point now) {
  is_suspended_ = false;
  last_use_ = now;
  if (limits_.at_timeout != AtLimit::remove) timeout_from_ = now;
}

void Life::go_on(Clock::time_point now) {
  is_suspended_ = false;
  last_use_ = now;
}

void Life::put_off(AtLimit what, Clock::time_point now) {
  (what == AtLimit::remove ? no_removal_before_ : no_pause_before_) = now + kPutOff;
}

std::optional<Life::Clock::time_point> Life::end() const {
  const bool is_suspended = is_suspended_ && limits_.at_timeout != AtLimit::remove;
  if (limits_.timeout.count() == 0 || is_suspended) return std::nullopt;
  return timeout_from_ + limits_.timeout;
}

std::optional<Life::Clock::time_point> Life::idle_end(Clock::time_point now) const {
  if (limits_.idle.count() == 0 || is_suspended_) return std::nullopt;
  return (uses_ > 0 ? now : last_use_) + limits_.idle;
}

Life::Clock::time_point Life::not_before(AtLimit what, Clock::time_point when) const {
  return std::max(when, what == AtLimit::remove ? no_removal_before_ : no_pause_before_);
}

std::optional<Life::Due> Life::due(Clock::time_point now) const {
  if (const auto when = end(); when && now >= not_before(limits_.at_timeout, *when))
    return Due{limits_.at_timeout, true};
  if (const auto when = idle_end(now); when && now >= not_before(limits_.at_idle, *when))
    return Due{limits_.at_idle, false};
  return std::nullopt;
}

std::optional<Life::Clock::time_point> Life::next(Clock::time_point now) const {
  std::optional<Clock::time_point> earliest;
  if (const auto when = end()) earliest = not_before(limits_.at_timeout, *when);
  if (const auto when = idle_end(now)) {
    const auto then = not_before(limits_.at_idle, *when);
    earliest = earliest ? std::min(*earliest, then) : then;
  }
  return earliest;
}

}  // namespace lmsb::control
