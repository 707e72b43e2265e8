#include "control/model_allowance.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

constexpr std::chrono::seconds kTellAfter{1};  // changes of that time are told as one

}  // namespace

ModelAllowance::ModelAllowance(boost::asio::io_context& loop, ModelAccess access, ModelUsage used)
    : loop_(loop),
      access_(std::move(access)),
      usage_(used),
      rate_left_(access_.requests_per_minute),
      rate_counted_(Clock::now()),
      asking_(loop) {}

bool ModelAllowance::has(std::string_view name) const {
  return std::find(access_.names.begin(), access_.names.end(), name) != access_.names.end();
}

Result<std::string> ModelAllowance::choose(const std::string& wanted) {
  if (wanted.empty()) return access_.names.front();
  if (has(wanted)) return wanted;
  ++usage_.refused;
  return Error(ErrorCode::not_found, "this sandbox has no model " + quoted(wanted))
      .with_slug("model_not_found")
      .with_hint(fmt::format("it has {}", fmt::join(access_.names, ", ")));
}

Status ModelAllowance::check_tokens() {
  if (access_.tokens == 0 || usage_.tokens() < access_.tokens) return {};
  ++usage_.refused;
  return Error(ErrorCode::permission_denied, "this sandbox has used its " + std::to_string(access_.tokens) +
                                                 " tokens of models (" + std::to_string(usage_.tokens()) + ")")
      .with_slug("model_tokens_used")
      .with_hint("make another sandbox with a larger model_limits.tokens");
}

// A bucket that a minute fills.
Status ModelAllowance::take_rate(Clock::time_point now) {
  const double most = access_.requests_per_minute;
  if (most == 0) return {};
  const double minutes = std::chrono::duration<double, std::ratio<60>>(now - rate_counted_).count();
  rate_left_ = std::min(most, rate_left_ + std::max(minutes, 0.0) * most);
  rate_counted_ = now;
  if (rate_left_ >= 1) {
    rate_left_ -= 1;
    return {};
  }
  ++usage_.refused;
  const auto wait = static_cast<int>(std::ceil((1 - rate_left_) / most * 60));
  return Error(ErrorCode::resource_exhausted,
               "this sandbox may ask models " + std::to_string(access_.requests_per_minute) + " times a minute")
      .with_slug("model_rate_limited")
      .with_hint("try again in " + std::to_string(wait) + " s")
      .with_wait(std::chrono::seconds(wait));
}

// What those before it use is known when it is its turn.
io::Task<ModelAllowance::Place> ModelAllowance::begin(std::shared_ptr<ModelAllowance> self, Clock::time_point now) {
  LMSB_CO_CHECK(self->check_tokens());
  LMSB_CO_CHECK(self->take_rate(now));
  while (self->asking_.count() >= kAtOnce) LMSB_CO_CHECK(co_await self->asking_.wait_end());
  LMSB_CO_CHECK(self->check_tokens());
  ++self->usage_.requests;
  self->change();
  Place place = self->asking_.begin();
  co_return place;
}

void ModelAllowance::count(std::uint64_t prompt_tokens, std::uint64_t completion_tokens) {
  usage_.prompt_tokens += prompt_tokens;
  usage_.completion_tokens += completion_tokens;
  change();
}

namespace {

io::Always<void> wait_and(std::function<void()> tell) {
  (void)co_await io::sleep_until(io::Deadline::in(kTellAfter));  // never cancelled
  tell();
}

}  // namespace

void ModelAllowance::change() {
  if (!told_ || std::exchange(is_telling_, true)) return;
  std::function<void()> tell = [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->is_telling_ = false;
    if (self->told_) self->told_();
  };
  io::spawn(loop_, wait_and(std::move(tell)));
}

}  // namespace lmsb::control
