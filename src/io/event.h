#pragma once
// Event: lets tasks of one loop wait for something that another task of it makes true.
//
// Has no memory: notify wakes who waits now. So wait in a loop on the condition itself:
//   while (!pool.ready()) LMSB_CO_CHECK(co_await changed.wait(deadline));
// Destroying it with tasks waiting ends their waits with `cancelled`. One thread.
#include <cstddef>
#include <memory>

#include "io/deadline.h"
#include "io/task.h"

namespace boost::asio {
class io_context;
}

namespace lmsb::io {

class Event {
 public:
  explicit Event(boost::asio::io_context& loop);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Errors: deadline_exceeded, cancelled.
  Task<void> wait(Deadline deadline = Deadline::never());
  // Wakes the task that has waited longest. It resumes when the caller has returned to the loop.
  void notify_one();
  void notify_all();
  std::size_t waiting() const;

 private:
  struct Waiter;
  struct List;
  std::shared_ptr<List> list_;
};

}  // namespace lmsb::io
