#include "cli/stdin_pump.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

#include "cli/requests.h"
#include "http/client.h"
#include "io/run_blocking.h"
#include "io/signals_blocked.h"

namespace lmsb::cli {
namespace {

constexpr std::size_t kPiece = 65'536;
constexpr int kShortPause = 1;  // seconds, where the daemon does not say

// Until stdin can be read, or `stop`; whether it is stdin alone.
bool wait_for_stdin(int stop) {
  std::array<pollfd, 2> polled{{{stop, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
  int ready = 0;
  do ready = ::poll(polled.data(), polled.size(), -1);
  while (ready < 0 && errno == EINTR);
  return ready > 0 && polled[0].revents == 0;
}

bool is_stopped_within(int stop, int milliseconds) {
  pollfd polled{stop, POLLIN, 0};
  return ::poll(&polled, 1, milliseconds) > 0;  // EINTR: no signal comes here but one that stops us
}

// What has come; "" is the end; nothing: we are to end.
Result<std::optional<std::string>> next_piece(int stop) {
  std::string piece(kPiece, '\0');
  while (wait_for_stdin(stop)) {
    const ssize_t n = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return Error::from_errno(errno, "read stdin");
    piece.resize(static_cast<std::size_t>(n));
    return std::optional(std::move(piece));
  }
  return std::optional<std::string>();
}

int pause_of(const http::Response& response) {
  int seconds = kShortPause;
  const auto text = response.headers.find("Retry-After").value_or("");
  (void)std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::clamp(seconds, 0, 60);
}

// What has become of a piece.
enum class Sent : std::uint8_t { taken, not_wanted, stopped };
Result<Sent> send(const Connection& connection, const std::string& target, const std::string& piece, BorrowedFd stop) {
  Call call("POST", target, stdin_body(piece));
  while (true) {
    const auto response = io::run_blocking(http::fetch(connection.endpoint(), connection.request_of(call)), stop);
    if (!response.ok() && response.error().code() == ErrorCode::cancelled) return Sent::stopped;
    if (!response.ok()) return response.error();
    if (response->status < 400) return Sent::taken;
    const Error error = error_of({response->status, response->body});
    if (error.slug() == "input_closed" || error.slug() == "process_not_found") return Sent::not_wanted;
    const bool may_try_again = response->status == 429 || response->status == 503 || error.slug() == "input_full";
    if (!may_try_again) return error;
    const int pause = error.slug() == "input_full" ? 0 : pause_of(*response);
    if (is_stopped_within(stop.get(), pause * 1000)) return Sent::stopped;
  }
}

Status pump(const Connection& connection, const std::string& target, BorrowedFd stop) {
  while (true) {
    LMSB_TRY(const auto piece, next_piece(stop.get()));
    if (!piece) return {};
    LMSB_TRY(const Sent sent, send(connection, target, *piece, stop));
    if (piece->empty() || sent != Sent::taken) return {};
  }
}

// A read by a program in the background stops it, as ever: the thread must hear of that.
void let_the_terminal_stop_us() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTTIN);
  (void)::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace

StdinPump::StdinPump(const Connection& connection, std::string target, BorrowedFd failed)
    : stop_(::eventfd(0, EFD_CLOEXEC)) {
  const io::SignalsBlocked blocked;
  auto work = [this, &connection, target = std::move(target), failed] {
    let_the_terminal_stop_us();
    Status ended = pump(connection, target, stop_);
    if (ended.ok()) return;
    failure_ = std::move(ended).error();
    (void)::eventfd_write(failed.get(), 1);
  };
  try {
    if (stop_) thread_ = std::thread(std::move(work));
  } catch (const std::system_error&) {
  }
  if (thread_.joinable()) return;
  failure_ = Error(ErrorCode::resource_exhausted, "pass on stdin: no thread or descriptor is left for it");
  (void)::eventfd_write(failed.get(), 1);
}

StdinPump::~StdinPump() {
  if (!thread_.joinable()) return;
  (void)::eventfd_write(stop_.get(), 1);  // cannot fail: the counter is 0
  thread_.join();
}

}  // namespace lmsb::cli
