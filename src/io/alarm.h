#pragma once
// Alarm: calls a function once when a deadline passes, unless destroyed before. For putting a limit on an operation
// that can be cancelled. Destroying it forgets the function even if the timer has fired already and only its call is
// still queued, so the function may use whatever the Alarm's owner owns. A deadline that never comes costs nothing.
#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "io/deadline.h"

namespace lmsb::io {

class Alarm {
 public:
  Alarm(const boost::asio::any_io_executor& loop, Deadline deadline, std::function<void()> ring);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lmsb::io
