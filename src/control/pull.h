#pragma once
// Pull: a model on its way into the store: between the thread of the pool that brings it and who watches. Nobody
// watches any more: it is cancelled, and what has come is kept for the next one (model/store.h).
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include <boost/asio/io_context.hpp>

#include "control/model_requests.h"
#include "control/model_service.h"
#include "io/event.h"
#include "model/store.h"

namespace lmsb::control {

class Pull final : public std::enable_shared_from_this<Pull> {
 public:
  explicit Pull(boost::asio::io_context& loop) : loop_(loop), changed_(loop) {}
  Pull(const Pull&) = delete;
  Pull& operator=(const Pull&) = delete;

  // What the thread calls, which may outlive all else of this.
  model::PullProgress teller();
  void cancel() { flow_->is_cancelled = true; }
  // Once.
  void end(Result<ModelInfo> with);
  // That it is looking; then what is new, when something is; with a model, or an Error, it was the last.
  io::Task<PullNews> next(io::Deadline deadline);

 private:
  struct Flow {
    std::atomic<bool> is_cancelled = false;
    std::mutex mutex;
    model::PullState state;
    bool is_news = false;  // and who watches has been called
  };
  std::optional<PullNews> take_news();
  static bool tell(const std::shared_ptr<Flow>& flow, const model::PullState& state);

  boost::asio::io_context& loop_;
  const std::shared_ptr<Flow> flow_ = std::make_shared<Flow>();
  io::Event changed_;
  bool has_begun_ = false;  // who watches knows of it
  std::optional<Result<ModelInfo>> end_;
};

// Cancels it when it goes.
std::unique_ptr<PullStream> watch(std::shared_ptr<Pull> pull);

}  // namespace lmsb::control
