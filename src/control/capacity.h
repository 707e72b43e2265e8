#pragma once
// Capacity: so much of something that tasks hold shares of, and a bounded, fair queue of those for whom nothing is
// left.
//
// Whose turn it is: callers that wait take turns, one share each, and of one caller the longest waiting is first. A
// thousand requests of one do not keep another's single one from being next but one. A full queue has room for the same
// number of everybody's: who has fewer waiting than somebody else takes the place of that one's last, which is refused.
//
// Nobody overtakes. What is given back gathers until there is enough for whoever is next, so that small shares never
// starve a large one. One exception: what only the end of something could make room for that does not end by itself (a
// created sandbox) blocks nobody but its own caller. It is looked at first whenever something is given back, and has
// its turn as soon as what ends by itself is all that is in its way. Else one who asks for more than will ever be free
// would stop everybody for as long as he waits.
//
// One loop, one thread. It may go before its shares and those who wait.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "io/task.h"

namespace lmsb {
class Counter;  // base/metrics.h
class Gauge;
}  // namespace lmsb

namespace lmsb::control {

// Of what is counted; 0: none of it.
struct Amount {
  std::uint64_t commands = 0;
  std::uint64_t memory = 0;  // bytes
  std::uint64_t cpu_millis = 0;
  bool operator==(const Amount&) const = default;
};

// Whether what holds a share ends by itself.
enum class Stay : std::uint8_t { passing, lasting };

class Capacity {
 public:
  enum class Refusal : std::uint8_t { queue_full, waited_too_long, no_room_now };
  struct Options {
    Options() = default;
    Amount total;
    std::size_t queue = 1024;                // who may wait
    std::chrono::milliseconds wait{30'000};  // how long, at most
    Error (*refuse)(Refusal why) = nullptr;  // what is said to whom nothing is given
    Gauge* waiting = nullptr;                // these live as long as the Capacity; nullptr: not counted
    Gauge* memory_held = nullptr;            // bytes
    Counter* refused = nullptr;
  };
  // `loop` outlives those who wait.
  Capacity(boost::asio::io_context& loop, Options options);
  ~Capacity();
  Capacity(const Capacity&) = delete;
  Capacity& operator=(const Capacity&) = delete;

 private:
  struct State;

 public:
  // Held until it is dropped. An empty one holds nothing.
  class Share {
   public:
    Share() = default;
    Share(Share&& o) noexcept : state_(std::move(o.state_)), amount_(std::exchange(o.amount_, {})), stay_(o.stay_) {
      waited_ms_ = o.waited_ms_;
    }
    Share& operator=(Share&& o) noexcept;
    ~Share();
    bool is_something() const { return state_ != nullptr; }
    const Amount& amount() const { return amount_; }
    double waited_ms() const { return waited_ms_; }  // for it
    // For who waited for something else before.
    void add_wait(double ms) { waited_ms_ += ms; }
    // Holds another amount from now on; of an empty one nothing happens. Error: there is not so much more at the
    // moment, and it is as before. Nobody who waits is asked: what is there belongs to who is alive already.
    Status resize(Amount amount);

   private:
    friend struct State;
    Share(std::shared_ptr<State> state, Amount amount, Stay stay)
        : state_(std::move(state)), amount_(amount), stay_(stay) {}
    std::shared_ptr<State> state_;
    Amount amount_;
    Stay stay_ = Stay::passing;
    double waited_ms_ = 0;
  };

  // What there is at once; nothing: who wants it has to wait. More than the total counts as all of it. Costs no
  // allocation.
  std::optional<Share> try_take(Amount amount, Stay stay);
  // The same for who waits his turn among the callers. Errors: those of Options::refuse, cancelled.
  io::Task<Share> take(std::string caller, Amount amount, Stay stay);
  // For one that is there already, whether there is room or not: nobody else gets any until there is.
  Share hold(Amount amount, Stay stay);

  const Amount& total() const;
  const Amount& held() const;
  std::size_t waiting() const;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace lmsb::control
