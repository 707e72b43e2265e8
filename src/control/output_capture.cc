#include "control/output_capture.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "io/event.h"
#include "io/spawn.h"
#include "io/wait_fd.h"
#include "os/pipe.h"

namespace lmsb::control {

void HeadAndTail::append(std::string_view octets) {
  const std::size_t to_head = std::min(octets.size(), head_cap_ - head_.size());
  head_.append(octets.substr(0, to_head));
  octets.remove_prefix(to_head);
  if (octets.size() > tail_cap_) {  // only its end can matter
    dropped_ += octets.size() - tail_cap_;
    octets.remove_prefix(octets.size() - tail_cap_);
  }
  const std::size_t to_fill = std::min(octets.size(), tail_cap_ - tail_.size());
  tail_.append(octets.substr(0, to_fill));
  octets.remove_prefix(to_fill);
  dropped_ += octets.size();
  while (!octets.empty()) {
    const std::size_t part = std::min(octets.size(), tail_.size() - tail_begin_);
    std::copy_n(octets.data(), part, tail_.begin() + static_cast<std::ptrdiff_t>(tail_begin_));
    tail_begin_ = (tail_begin_ + part) % tail_.size();
    octets.remove_prefix(part);
  }
}

Output HeadAndTail::take() {
  Output output;
  output.data = std::move(head_);
  output.cut_at = output.data.size();
  output.truncated_bytes = dropped_;
  output.data.append(tail_, tail_begin_);
  output.data.append(tail_, 0, tail_begin_);
  head_.clear();
  tail_.clear();
  tail_begin_ = 0;
  dropped_ = 0;
  return output;
}

struct OutputCapture::State {
  State(boost::asio::io_context& loop, UniqueFd s, Bytes cap, std::shared_ptr<Spill> p)
      : stream(std::move(s)),
        watch(loop.get_executor(), stream),
        kept(cap.count()),
        spill(std::move(p)),
        changed(loop) {}

  void take_in(std::string_view octets) {
    if (spill && !is_spilling && !kept.has_room_for(octets.size())) {
      is_spilling = true;
      unspilled = kept.whole();
    }
    if (is_spilling) unspilled.append(octets);
    kept.append(octets);
  }

  UniqueFd stream;
  io::FdWatch watch;  // after the stream: ends before it
  HeadAndTail kept;
  std::shared_ptr<Spill> spill;
  bool is_spilling = false;
  std::string unspilled;  // of one turn, and before the first all that was kept
  bool ended = false;
  bool stopped = false;
  io::Event changed;
};

namespace {

enum class ReadOutcome : std::uint8_t { more, nothing_now, end };

// Reads a bounded amount, so that a flood does not hold the loop.
template <class State>
ReadOutcome read_some(State& state) {
  static std::array<char, 64 * 1024> buffer;  // one loop, one thread: never in use twice
  for (int i = 0; i < 4; ++i) {
    const ssize_t n = os::read_pipe_now(state.stream.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EAGAIN) return ReadOutcome::nothing_now;
    if (n <= 0) return ReadOutcome::end;
    state.take_in({buffer.data(), static_cast<std::size_t>(n)});
  }
  return ReadOutcome::more;
}

}  // namespace

OutputCapture::OutputCapture(boost::asio::io_context& loop, UniqueFd stream, Bytes cap, std::shared_ptr<Spill> spill)
    : state_(std::make_shared<State>(loop, std::move(stream), cap, std::move(spill))) {
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): captures nothing; the state is a parameter
  static constexpr auto kRead = [](std::shared_ptr<State> state) -> io::Always<void> {
    while (!state->stopped) {
      const ReadOutcome outcome = read_some(*state);
      if (!state->unspilled.empty()) co_await state->spill->write(std::exchange(state->unspilled, {}));
      if (outcome == ReadOutcome::end) break;
      // Also after a full turn: the wait returns at once, but others have their turn first.
      const Status readable = co_await state->watch.readable();
      if (!readable.ok()) break;
    }
    state->ended = true;
    state->changed.notify_all();
  };
  io::spawn(loop, kRead(state_));
}

OutputCapture::~OutputCapture() {
  state_->stopped = true;
  state_->watch.cancel();
}

io::Always<bool> OutputCapture::wait_end(io::Deadline deadline) {
  const auto state = state_;
  while (!state->ended) {
    const Status changed = co_await state->changed.wait(deadline);
    if (!changed.ok()) co_return false;
  }
  co_return true;
}

Output OutputCapture::take() { return state_->kept.take(); }

}  // namespace lmsb::control
