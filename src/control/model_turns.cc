#include "control/model_turns.h"

#include <list>
#include <utility>

#include "io/event.h"

namespace lmsb::control {

struct ModelTurns::Queue {
  explicit Queue(boost::asio::io_context& loop) : changed(loop) {}
  std::list<std::string> waiting;  // who, in their order
  bool is_taken = false;
  io::Event changed;
};

class ModelTurns::Waiting {
 public:
  Waiting(std::shared_ptr<Queue> queue, std::string who)
      : queue_(std::move(queue)), place_(queue_->waiting.insert(queue_->waiting.end(), std::move(who))) {}
  ~Waiting() {
    queue_->waiting.erase(place_);
    queue_->changed.notify_all();
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  bool is_next() const { return !queue_->is_taken && queue_->waiting.begin() == place_; }

 private:
  const std::shared_ptr<Queue> queue_;
  const std::list<std::string>::iterator place_;
};

class ModelTurns::Taken {
 public:
  Taken(std::shared_ptr<Queue> queue, std::string who) : queue_(std::move(queue)), who_(std::move(who)) {
    queue_->is_taken = true;
  }
  ~Taken() {
    queue_->is_taken = false;
    let_others_go_first();
    queue_->changed.notify_all();
  }
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;

 private:
  void let_others_go_first() {
    std::list<std::string>& waiting = queue_->waiting;
    std::list<std::string> own;
    for (auto next = waiting.begin(); next != waiting.end();) {
      const auto here = next++;
      if (*here == who_) own.splice(own.end(), waiting, here);
    }
    waiting.splice(waiting.end(), own);
  }

  const std::shared_ptr<Queue> queue_;
  const std::string who_;
};

io::Task<ModelTurns::Turn> ModelTurns::take(std::string model, std::string who) {
  return wait_in(queue_of(model), std::move(who));
}

std::shared_ptr<ModelTurns::Queue> ModelTurns::queue_of(const std::string& model) {
  std::erase_if(queues_, [](const auto& entry) { return entry.second.expired(); });
  auto queue = queues_[model].lock();
  if (!queue) queues_[model] = queue = std::make_shared<Queue>(loop_);
  return queue;
}

io::Task<ModelTurns::Turn> ModelTurns::wait_in(std::shared_ptr<Queue> queue, std::string who) {
  const Waiting waiting(queue, who);
  while (!waiting.is_next()) LMSB_CO_CHECK(co_await queue->changed.wait());
  Turn turn = std::make_shared<const Taken>(queue, std::move(who));
  co_return turn;
}

}  // namespace lmsb::control
