#include "control/file_desk.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/spawn.h"
#include "io/wait_fd.h"
#include "os/message_socket.h"
#include "sandbox/launcher_request.h"

namespace lmsb::control {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxCallers = 16;
constexpr std::size_t kMaxWaiting = 16;
constexpr std::chrono::milliseconds kPatience{5'000};   // with a caller who says nothing
constexpr std::chrono::milliseconds kLifetime{60'000};  // of a token

// Takes the offer with its file. Returns an errno.
int receive_file(int socket, UniqueFd& file) {
  sandbox::MountOffer offer{};
  ReceivedFds fds;
  const ssize_t size = receive_message(socket, &offer, sizeof offer, fds, MSG_DONTWAIT);
  if (!sandbox::is_offer(&offer, size, fds.count)) return EPROTO;
  struct stat kind {};
  const int flags = ::fcntl(fds.fds[0].get(), F_GETFL);
  if (flags < 0 || ::fstat(fds.fds[0].get(), &kind) < 0) return errno;
  if (!S_ISREG(kind.st_mode)) return EINVAL;
  if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_WRONLY) return EBADF;
  file = std::move(fds.fds[0]);
  return 0;
}

}  // namespace

struct FileDesk::State {
  State(boost::asio::io_context& l, UniqueFd s) : loop(l), listener(std::move(s)), watch(l.get_executor(), listener) {}

  struct Waiting {
    sandbox::MountToken token;
    Clock::time_point until;
    UniqueFd file;
  };

  static io::Always<void> accept_all(std::shared_ptr<State> self) {
    for (;;) {
      const Status readable = co_await self->watch.readable();
      if (!readable.ok()) co_return;
      UniqueFd caller(::accept4(self->listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!caller || self->callers >= kMaxCallers) continue;
      ++self->callers;
      io::spawn(self->loop, serve(self, std::move(caller)));
    }
  }

  static io::Always<void> serve(std::shared_ptr<State> self, UniqueFd caller) {
    const Status readable = co_await io::wait_readable(caller, io::Deadline::in(kPatience));
    if (readable.ok()) self->answer(caller.get());
    --self->callers;
  }

  void answer(int caller) {
    const auto now = Clock::now();
    std::erase_if(waiting, [now](const Waiting& w) { return w.until < now; });
    sandbox::MountReply reply;
    Waiting entry{{}, now + kLifetime, {}};
    reply.error = receive_file(caller, entry.file);
    if (reply.error == 0 && waiting.size() >= kMaxWaiting) reply.error = EAGAIN;
    if (reply.error == 0 && ::getrandom(entry.token.bytes.data(), entry.token.bytes.size(), 0) < 0) reply.error = errno;
    if (reply.error == 0) {
      reply.token = entry.token;
      waiting.push_back(std::move(entry));
    }
    const iovec part{&reply, sizeof reply};
    (void)send_message(caller, &part, 1);
  }

  boost::asio::io_context& loop;
  UniqueFd listener;
  io::FdWatch watch;  // after the listener: ends before it
  std::size_t callers = 0;
  std::deque<Waiting> waiting;
};

Result<std::unique_ptr<FileDesk>> FileDesk::open(boost::asio::io_context& loop, const std::string& path, mode_t mode,
                                                 gid_t group) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error(ErrorCode::invalid_argument, "socket path " + path + " is too long (107 bytes at most)");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return Error::from_errno(errno, "file desk");
  (void)::unlink(path.c_str());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  // Nobody can connect before listen(), when mode and group are right.
  if (::bind(listener.get(), generic, sizeof address) < 0 || ::chmod(path.c_str(), mode) < 0 ||
      ::chown(path.c_str(), static_cast<uid_t>(-1), group) < 0 || ::listen(listener.get(), kMaxCallers) < 0)
    return Error::from_errno(errno, "listen on " + path);
  auto state = std::make_shared<State>(loop, std::move(listener));
  io::spawn(loop, State::accept_all(state));
  return std::unique_ptr<FileDesk>(new FileDesk(std::move(state)));
}

FileDesk::~FileDesk() { state_->watch.cancel(); }

std::optional<UniqueFd> FileDesk::take(const sandbox::MountToken& token) {
  auto& waiting = state_->waiting;
  const auto found = std::find_if(waiting.begin(), waiting.end(), [&](const auto& w) { return w.token == token; });
  if (found == waiting.end()) return std::nullopt;
  UniqueFd file = std::move(found->file);
  waiting.erase(found);
  return file;
}

}  // namespace lmsb::control
