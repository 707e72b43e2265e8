#include "control/pull.h"

#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>

namespace lmsb::control {
namespace {

constexpr std::chrono::milliseconds kBetween{200};  // of two words about the same step

PullNews news_of(const model::PullState& state) {
  PullNews news;
  switch (state.step) {
    case model::PullState::Step::looking: news.step = PullStep::looking; break;
    case model::PullState::Step::bringing: news.step = PullStep::bringing; break;
    case model::PullState::Step::checking: news.step = PullStep::checking; break;
  }
  news.done = state.done;
  news.whole = state.whole;
  news.sha256 = state.sha256;
  return news;
}

class Watched final : public PullStream {
 public:
  explicit Watched(std::shared_ptr<Pull> pull) : pull_(std::move(pull)) {}
  ~Watched() override { pull_->cancel(); }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  io::Task<PullNews> next(io::Deadline deadline) override { return pull_->next(deadline); }

 private:
  const std::shared_ptr<Pull> pull_;
};

}  // namespace

bool Pull::tell(const std::shared_ptr<Flow>& flow, const model::PullState& state) {
  const std::lock_guard lock(flow->mutex);
  const bool is_news = !flow->is_news;
  flow->state = state;
  flow->is_news = true;
  return is_news;
}

model::PullProgress Pull::teller() {
  using Clock = std::chrono::steady_clock;
  return [flow = flow_, loop = &loop_, pull = weak_from_this(), told = Clock::time_point(),
          step = model::PullState::Step::looking](const model::PullState& state) mutable {
    if (state.step == step && Clock::now() - told < kBetween) return !flow->is_cancelled;
    step = state.step;
    told = Clock::now();
    const auto wake = [pull] {
      if (const auto alive = pull.lock()) alive->changed_.notify_all();
    };
    if (tell(flow, state)) boost::asio::post(*loop, wake);
    return !flow->is_cancelled;
  };
}

void Pull::end(Result<ModelInfo> with) {
  end_ = std::move(with);
  changed_.notify_all();
}

std::optional<PullNews> Pull::take_news() {
  const std::lock_guard lock(flow_->mutex);
  if (!std::exchange(flow_->is_news, false)) return std::nullopt;
  return news_of(flow_->state);
}

io::Task<PullNews> Pull::next(io::Deadline deadline) {
  const auto self = shared_from_this();
  if (!std::exchange(has_begun_, true)) co_return PullNews();
  while (true) {
    if (auto news = take_news()) co_return *std::move(news);
    if (end_ && !end_->ok()) co_return Error(end_->error());
    if (end_) {
      PullNews last;
      last.model = end_->value();
      co_return last;
    }
    LMSB_CO_CHECK(co_await changed_.wait(deadline));
  }
}

std::unique_ptr<PullStream> watch(std::shared_ptr<Pull> pull) { return std::make_unique<Watched>(std::move(pull)); }

}  // namespace lmsb::control
