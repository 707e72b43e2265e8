#include "control/output_capture.h"

#include <algorithm>
#include <utility>

#include "io/event.h"
#include "io/spawn.h"

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
  State(boost::asio::io_context& loop, io::ForeignPipe s, Bytes cap, std::shared_ptr<Spill> p)
      : stream(std::move(s)), kept(cap.count()), spill(std::move(p)), changed(loop) {}

  void take_in(std::string_view octets) {
    if (spill && !is_spilling && !kept.has_room_for(octets.size())) {
      is_spilling = true;
      unspilled = kept.whole();
    }
    if (is_spilling) unspilled.append(octets);
    kept.append(octets);
  }

  io::ForeignPipe stream;
  HeadAndTail kept;
  std::shared_ptr<Spill> spill;
  bool is_spilling = false;
  std::string unspilled;  // of one turn, and before the first all that was kept
  bool ended = false;
  bool stopped = false;
  io::Event changed;
};

OutputCapture::OutputCapture(boost::asio::io_context& loop, io::ForeignPipe stream, Bytes cap,
                             std::shared_ptr<Spill> spill)
    : state_(std::make_shared<State>(loop, std::move(stream), cap, std::move(spill))) {
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): captures nothing; the state is a parameter
  static constexpr auto kRead = [](std::shared_ptr<State> state) -> io::Always<void> {
    while (state->stream && !state->stopped) {
      const auto piece = co_await state->stream.read();
      if (!piece.ok() || piece->empty()) break;
      state->take_in(*piece);
      if (!state->unspilled.empty()) co_await state->spill->write(std::exchange(state->unspilled, {}));
    }
    state->ended = true;
    state->changed.notify_all();
  };
  io::spawn(loop, kRead(state_));
}

OutputCapture::~OutputCapture() {
  state_->stopped = true;
  state_->stream.cancel();
}

io::Always<bool> OutputCapture::wait_end(io::Deadline deadline) {
  const auto state = state_;
  while (!state->ended) {
    const Status changed = co_await state->changed.wait(deadline);
    if (!changed.ok()) co_return false;
  }
  co_return true;
}

bool OutputCapture::take_back() {
  if (state_->ended || !state_->stream.is_held()) return false;
  state_->stream.want_back();
  return true;
}

Output OutputCapture::take() { return state_->kept.take(); }

}  // namespace lmsb::control
