#include "control/output_capture.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "io/event.h"
#include "io/spawn.h"
#include "io/wait_fd.h"

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
  State(boost::asio::io_context& loop, UniqueFd s, Bytes cap)
      : stream(std::move(s)), watch(loop.get_executor(), stream), kept(cap.count()), changed(loop) {}
  UniqueFd stream;
  io::FdWatch watch;  // after the stream: ends before it
  HeadAndTail kept;
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
    const ssize_t n = ::read(state.stream.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return ReadOutcome::nothing_now;
    if (n <= 0) return ReadOutcome::end;
    state.kept.append({buffer.data(), static_cast<std::size_t>(n)});
  }
  return ReadOutcome::more;
}

}  // namespace

OutputCapture::OutputCapture(boost::asio::io_context& loop, UniqueFd stream, Bytes cap)
    : state_(std::make_shared<State>(loop, std::move(stream), cap)) {
  (void)::fcntl(state_->stream.get(), F_SETFL, O_NONBLOCK);
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): captures nothing; the state is a parameter
  static constexpr auto kRead = [](std::shared_ptr<State> state) -> io::Always<void> {
    while (!state->stopped) {
      const ReadOutcome outcome = read_some(*state);
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
