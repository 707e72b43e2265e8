#pragma once
// ModelTurns: of all sandboxes one request at a time is at each model, so that one of the two that a llama-server
// answers at once stays for the daemon's own clients. Who has been answered goes behind the others that wait, whatever
// it has waiting itself. One loop, one thread; turns and waits may outlive it.
#include <map>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "io/task.h"

namespace lmsb::control {

class ModelTurns {
 public:
  // `loop` outlives it.
  explicit ModelTurns(boost::asio::io_context& loop) : loop_(loop) {}

  // At this model, while it lives.
  using Turn = std::shared_ptr<const void>;
  // Waits until it is the turn of `who`. Error: cancelled.
  io::Task<Turn> take(std::string model, std::string who);

 private:
  struct Queue;
  class Waiting;
  class Taken;
  std::shared_ptr<Queue> queue_of(const std::string& model);
  static io::Task<Turn> wait_in(std::shared_ptr<Queue> queue, std::string who);

  boost::asio::io_context& loop_;
  std::map<std::string, std::weak_ptr<Queue>> queues_;  // as long as somebody is in them
};

}  // namespace lmsb::control
