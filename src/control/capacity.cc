#include "control/capacity.h"

#include <algorithm>
#include <list>

#include "base/metrics.h"
#include "io/event.h"

namespace lmsb::control {
namespace {

Amount operator+(const Amount& a, const Amount& b) {
  return {a.commands + b.commands, a.memory + b.memory, a.cpu_millis + b.cpu_millis};
}

Amount operator-(const Amount& a, const Amount& b) {
  return {a.commands - b.commands, a.memory - b.memory, a.cpu_millis - b.cpu_millis};
}

bool is_within(const Amount& a, const Amount& b) {
  return a.commands <= b.commands && a.memory <= b.memory && a.cpu_millis <= b.cpu_millis;
}

Amount smaller(const Amount& a, const Amount& b) {
  return {std::min(a.commands, b.commands), std::min(a.memory, b.memory), std::min(a.cpu_millis, b.cpu_millis)};
}

}  // namespace

struct Capacity::State : std::enable_shared_from_this<Capacity::State> {
  // One who waits; on the frame of his task.
  struct Waiter {
    Waiter(boost::asio::io_context& loop, Amount a, Stay s) : amount(a), stay(s), decided(loop) {}
    Amount amount;
    Stay stay;
    std::optional<Share> share;  // his, from his turn on
    bool is_in_line = false;
    io::Event decided;  // he is in line no more
  };
  // Those of one caller who wait, the longest waiting first; never none.
  struct Line {
    std::string caller;
    std::list<Waiter*> waiters;
  };

  State(boost::asio::io_context& l, Options o) : loop(l), options(o) {}

  bool has_room(const Amount& amount) const { return is_within(held + amount, options.total); }

  Share give(const Amount& amount, Stay stay) {
    change_held(amount, {}, stay);
    return {shared_from_this(), amount, stay};
  }

  void change_held(const Amount& more, const Amount& less, Stay stay) {
    held = held + more - less;
    if (stay == Stay::lasting) lasting = lasting + more - less;
    if (options.memory_held != nullptr) options.memory_held->set(static_cast<double>(held.memory));
  }

  void give_back(const Amount& amount, Stay stay) {
    change_held({}, amount, stay);
    serve();
  }

  // Whoever's turn it is gets what he waits for, as long as there is enough.
  void serve() {
    for (auto line = lines.begin(); line != lines.end();) {
      Waiter& first = *line->waiters.front();
      if (has_room(first.amount)) {
        first.share = give(first.amount, first.stay);
        const bool is_last = line->waiters.size() == 1;
        if (!is_last) lines.splice(lines.end(), lines, line);  // the next turn is another caller's
        leave(first, line);
        line = lines.begin();
      } else if (is_within(lasting + first.amount, options.total)) {
        return;  // the end of what passes is enough for him
      } else {
        ++line;
      }
    }
  }

  std::list<Line>::iterator line_of(const std::string& caller) {
    return std::find_if(lines.begin(), lines.end(), [&caller](const Line& line) { return line.caller == caller; });
  }

  void join(const std::string& caller, Waiter& waiter) {
    auto line = line_of(caller);
    if (line == lines.end()) line = lines.insert(lines.end(), Line{caller, {}});
    line->waiters.push_back(&waiter);
    waiter.is_in_line = true;
    count_waiting(1);
  }

  void leave(Waiter& waiter, std::list<Line>::iterator line) {
    line->waiters.remove(&waiter);
    if (line->waiters.empty()) lines.erase(line);
    waiter.is_in_line = false;
    count_waiting(-1);
    waiter.decided.notify_all();
  }

  void count_waiting(int change) {
    waiting += static_cast<std::size_t>(change);
    if (options.waiting != nullptr) options.waiting->set(static_cast<double>(waiting));
  }

  // Whether there is a place in the queue for one more of `caller`, if need be that of somebody who has more of them.
  bool has_place(const std::string& caller) {
    if (waiting < options.queue) return true;
    const auto longest = std::max_element(
        lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.waiters.size() < b.waiters.size(); });
    const auto own = line_of(caller);
    const std::size_t has = own == lines.end() ? 0 : own->waiters.size();
    if (longest == lines.end() || longest->waiters.size() <= has + 1) return false;
    leave(*longest->waiters.back(), longest);
    return true;
  }

  Error refuse(Refusal why) const {
    if (options.refused != nullptr) options.refused->increment();
    return options.refuse(why);
  }

  // A waiter's place in the queue, for as long as his task waits.
  class Place {
   public:
    Place(std::shared_ptr<State> state, std::string caller, Waiter& waiter)
        : state_(std::move(state)), caller_(std::move(caller)), waiter_(waiter) {
      state_->join(caller_, waiter_);
      state_->serve();
    }
    ~Place() {
      if (!waiter_.is_in_line) return;
      state_->leave(waiter_, state_->line_of(caller_));
      state_->serve();  // those behind him may want less
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    std::shared_ptr<State> state_;
    std::string caller_;
    Waiter& waiter_;
  };

  static io::Task<Share> wait(std::shared_ptr<State> state, std::string caller, Amount amount, Stay stay) {
    if (!state->has_place(caller)) co_return state->refuse(Refusal::queue_full);
    const auto began = io::Deadline::Clock::now();
    const io::Deadline deadline = io::Deadline::at(began + state->options.wait);
    Waiter self(state->loop, amount, stay);
    const Place place(state, std::move(caller), self);
    Status woken;
    while (woken.ok() && self.is_in_line) woken = co_await self.decided.wait(deadline);
    if (self.share) {
      const std::chrono::duration<double, std::milli> waited = io::Deadline::Clock::now() - began;
      self.share->add_wait(waited.count());
      co_return *std::move(self.share);
    }
    if (woken.ok()) co_return state->refuse(Refusal::queue_full);  // another one has his place
    if (woken.error().code() == ErrorCode::deadline_exceeded) co_return state->refuse(Refusal::waited_too_long);
    co_return std::move(woken).error();
  }

  boost::asio::io_context& loop;
  Options options;
  Amount held;
  Amount lasting;  // of it
  std::size_t waiting = 0;
  std::list<Line> lines;  // the first has the next turn
};

Capacity::Capacity(boost::asio::io_context& loop, Options options) : state_(std::make_shared<State>(loop, options)) {}

Capacity::~Capacity() {
  state_->options.waiting = state_->options.memory_held = nullptr;
  state_->options.refused = nullptr;
}

Capacity::Share& Capacity::Share::operator=(Share&& o) noexcept {
  std::swap(state_, o.state_);
  std::swap(amount_, o.amount_);
  std::swap(stay_, o.stay_);
  waited_ms_ = o.waited_ms_;
  return *this;
}

Capacity::Share::~Share() {
  if (state_) state_->give_back(amount_, stay_);
}

Status Capacity::Share::resize(Amount amount) {
  if (!state_) return {};
  amount = smaller(amount, state_->options.total);
  const bool has_room = is_within(state_->held - amount_ + amount, state_->options.total);
  if (!has_room && !is_within(amount, amount_)) return state_->refuse(Refusal::no_room_now);
  state_->change_held(amount, amount_, stay_);
  amount_ = amount;
  state_->serve();
  return {};
}

std::optional<Capacity::Share> Capacity::try_take(Amount amount, Stay stay) {
  amount = smaller(amount, state_->options.total);
  if (!state_->lines.empty() || !state_->has_room(amount)) return std::nullopt;
  return state_->give(amount, stay);
}

io::Task<Capacity::Share> Capacity::take(std::string caller, Amount amount, Stay stay) {
  amount = smaller(amount, state_->options.total);
  if (state_->lines.empty() && state_->has_room(amount)) co_return state_->give(amount, stay);
  co_return co_await State::wait(state_, std::move(caller), amount, stay);
}

Capacity::Share Capacity::hold(Amount amount, Stay stay) {
  return state_->give(smaller(amount, state_->options.total), stay);
}

const Amount& Capacity::total() const { return state_->options.total; }
const Amount& Capacity::held() const { return state_->held; }
std::size_t Capacity::waiting() const { return state_->waiting; }

}  // namespace lmsb::control
