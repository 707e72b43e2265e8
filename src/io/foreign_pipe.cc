#include "io/foreign_pipe.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include "base/assert.h"
#include "io/wait_fd.h"
#include "os/pipe.h"

namespace lmsb::io {
namespace {

enum class Look : std::uint8_t { nothing, something, ended };  // ended: nobody has the other end, and nothing is in it

constexpr std::chrono::milliseconds kLong{100};  // for a piece; one takes microseconds

using SharedFd = std::shared_ptr<UniqueFd>;

Look look_at(int end, short wanted) {
  pollfd look{end, wanted, 0};
  if (::poll(&look, 1, 0) <= 0) return Look::nothing;
  if ((look.revents & POLLIN) != 0) return Look::something;
  return (look.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 ? Look::ended : Look::something;
}

// One piece of work on a pipe, and what came of it. Owns what it uses: whoever asked may be gone.
struct Piece {
  SharedFd end;
  std::size_t size = 0;
  std::string octets;                // read, or to be written
  std::shared_ptr<PipeRelay> relay;  // null: none
  bool is_first = false;             // of the relayed
  std::size_t count = 0;             // relayed or written
  bool is_end = false;
  int error = 0;

  void settle(ssize_t n) {
    if (n == 0) is_end = true;
    if (n < 0 && errno != EAGAIN) error = errno;
  }
  void read() {
    static thread_local std::array<char, 64UL * 1024> buffer;
    while (octets.size() < size) {
      const std::size_t room = std::min(buffer.size(), size - octets.size());
      const ssize_t n = os::read_pipe_now(end->get(), buffer.data(), room);
      if (n <= 0) return settle(n);
      octets.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }
  void take() {
    if (is_first) PipeRelay::widen(*end);
    const ssize_t n = relay->take_now(*end, size);
    settle(n);
    if (n > 0) count = static_cast<std::size_t>(n);
  }
  void write() {
    ssize_t n = 0;
    do n = ::write(end->get(), octets.data() + count, octets.size() - count);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) error = errno;
    if (n > 0) count += static_cast<std::size_t>(n);
  }
};

}  // namespace

struct ForeignPipe::State {
  State(boost::asio::io_context& l, UniqueFd e, Evict v)
      : loop(l), hands(PipeHands::of(l)), end(std::make_shared<UniqueFd>(std::move(e))), evict(std::move(v)) {
    const int flags = ::fcntl(end->get(), F_GETFL);
    is_writer = flags >= 0 && (flags & O_ACCMODE) == O_WRONLY;
    if (is_writer) (void)::fcntl(end->get(), F_SETFL, flags | O_NONBLOCK);
  }
  ~State() {
    watch.reset();
    if (work && !is_writer) hands->give_up(work);
    piece.reset();
    // Closing takes the lock as well, and nobody waits for it.
    if (is_writer) {
      (void)hands->take([last = std::move(end)]() mutable { last.reset(); }, std::move(evict));
    } else {
      hands->close_soon(std::move(end), std::move(evict));
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  FdWatch& watched() {
    if (!watch) watch.emplace(loop.get_executor(), *end);
    return *watch;
  }

  // Until `piece` has come from a hand. `does` is what it does.
  using Does = void (Piece::*)();
  void begin(std::shared_ptr<Piece> begun, Does does) {
    piece = std::move(begun);
    piece->end = end;
    work = hands->take([piece = piece, does] { ((*piece).*does)(); }, evict);
  }
  static Task<std::shared_ptr<Piece>> arrive(std::shared_ptr<State> self, Deadline deadline) {
    if (self->work) {
      LMSB_CO_CHECK(co_await PipeHands::Work::wait(self->work, deadline));
      self->work.reset();
    }
    auto came = std::exchange(self->piece, nullptr);
    came->end.reset();
    co_return came;
  }

  // The next piece of what there is to read.
  static Task<std::shared_ptr<Piece>> next(std::shared_ptr<State> self, std::shared_ptr<Piece> wanted, Does does,
                                           Deadline deadline) {
    for (;;) {
      if (self->has_ended) {
        wanted->is_end = true;
        co_return wanted;
      }
      if (!self->piece) {
        const Look look = look_at(self->end->get(), POLLIN);
        self->has_ended = look == Look::ended;
        if (self->has_ended) continue;
        if (look == Look::nothing) {
          LMSB_CO_CHECK(co_await self->watched().readable(deadline));
          continue;
        }
        self->begin(wanted, does);
      }
      LMSB_CO_TRY(auto came, co_await arrive(self, deadline));
      self->has_ended = came->is_end;
      if (came->error != 0) co_return Error::from_errno(came->error, "read from a pipe");
      if (came->is_end || came->count > 0 || !came->octets.empty()) co_return came;
    }
  }

  boost::asio::io_context& loop;
  std::shared_ptr<PipeHands> hands;
  SharedFd end;
  std::optional<FdWatch> watch;  // after the end: goes before it
  Evict evict;
  std::shared_ptr<Piece> piece;  // on its way, or come and not yet taken
  std::shared_ptr<PipeHands::Work> work;
  bool is_writer = false;
  bool is_wide = false;
  bool is_cancelled = false;
  bool has_ended = false;
};

ForeignPipe::ForeignPipe(boost::asio::io_context& loop, UniqueFd end, Evict evict)
    : state_(end ? std::make_shared<State>(loop, std::move(end), std::move(evict)) : nullptr) {}

ForeignPipe::~ForeignPipe() { cancel(); }

ForeignPipe& ForeignPipe::operator=(ForeignPipe&& other) noexcept {
  cancel();
  state_ = std::move(other.state_);
  return *this;
}

Task<std::string> ForeignPipe::read(std::size_t size, Deadline deadline) {
  const auto self = state_;
  auto wanted = std::make_shared<Piece>();
  wanted->size = std::min(size, kMost);
  LMSB_CO_TRY(auto came, co_await State::next(self, std::move(wanted), &Piece::read, deadline));
  co_return std::move(came->octets);
}

Task<std::size_t> ForeignPipe::relay(std::shared_ptr<PipeRelay> to, std::size_t size, Deadline deadline) {
  const auto self = state_;
  auto wanted = std::make_shared<Piece>();
  wanted->size = size;
  wanted->relay = std::move(to);
  wanted->is_first = !std::exchange(self->is_wide, true);
  LMSB_CO_TRY(const auto came, co_await State::next(self, std::move(wanted), &Piece::take, deadline));
  co_return came->count;
}

Task<void> ForeignPipe::write_all(std::string octets, Deadline deadline) {
  const auto self = state_;
  LMSB_ASSERT(!self->piece && !self->work);
  const auto rest = std::make_shared<Piece>();
  rest->octets = std::move(octets);
  while (rest->count < rest->octets.size()) {
    if (self->is_cancelled) co_return Error(ErrorCode::cancelled, "write to a pipe: cancelled");
    const Look look = look_at(self->end->get(), POLLOUT);
    if (look == Look::ended) co_return Error::from_errno(EPIPE, "write to a pipe");
    if (look == Look::nothing) {
      LMSB_CO_CHECK(co_await self->watched().writable(deadline));
      continue;
    }
    self->begin(rest, &Piece::write);
    LMSB_CO_TRY(const auto came, co_await State::arrive(self, deadline));
    if (came->error != 0) co_return Error::from_errno(came->error, "write to a pipe");
  }
  co_return Status();
}

bool ForeignPipe::is_held() const {
  if (!state_ || !state_->work || state_->work->is_done()) return false;
  return std::chrono::steady_clock::now() - state_->work->asked() >= kLong;
}

bool ForeignPipe::is_empty() const {
  return !state_ || (!state_->piece && look_at(state_->end->get(), POLLIN) == Look::nothing);
}

void ForeignPipe::want_back() {
  if (state_ && state_->work) state_->hands->give_up(state_->work);
}

void ForeignPipe::cancel() {
  if (!state_) return;
  state_->is_cancelled = true;
  if (state_->watch) state_->watch->cancel();
  if (state_->work) state_->work->stop_waiting();
}

}  // namespace lmsb::io
