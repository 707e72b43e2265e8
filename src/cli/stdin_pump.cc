#include "cli/stdin_pump.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli/requests.h"
#include "http/client.h"
#include "io/signals_blocked.h"

namespace lmsb::cli {
namespace {

constexpr std::size_t kPiece = 65'536;

// What has come; nothing: we are to end. "" is the end of stdin, and so is an error of it.
std::optional<std::string> next_piece(int stop) {
  std::array<pollfd, 2> polled{{{STDIN_FILENO, POLLIN, 0}, {stop, POLLIN, 0}}};
  int ready = 0;
  do ready = ::poll(polled.data(), polled.size(), -1);
  while (ready < 0 && errno == EINTR);
  if (ready < 0 || polled[1].revents != 0) return std::nullopt;
  std::string piece(kPiece, '\0');
  const ssize_t n = ::read(STDIN_FILENO, piece.data(), piece.size());
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return next_piece(stop);
  piece.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return piece;
}

void pump(const Connection& connection, const std::string& target, int stop) {
  while (const auto piece = next_piece(stop)) {
    Call call("POST", target, stdin_body(*piece));
    call.timeout = std::chrono::hours(24);  // for as long as the command does not read
    const auto answer = http::fetch_blocking(connection.endpoint(), connection.request_of(call));
    if (piece->empty() || !answer.ok() || answer->status >= 400) return;
  }
}

}  // namespace

StdinPump::StdinPump(const Connection& connection, std::string target) : stop_(::eventfd(0, EFD_CLOEXEC)) {
  const io::SignalsBlocked blocked;
  thread_ =
      std::thread([&connection, target = std::move(target), stop = stop_.get()] { pump(connection, target, stop); });
}

StdinPump::~StdinPump() {
  (void)::eventfd_write(stop_.get(), 1);  // cannot fail: the counter is 0
  thread_.join();
}

}  // namespace lmsb::cli
