#include "launcher/mount_desk.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "launcher/helper_process.h"
#include "os/message_socket.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

constexpr std::size_t kMaxReceivers = 64;
constexpr std::size_t kReserve = 16;  // beyond them, so that root and the daemon are heard when strangers hold all
constexpr std::size_t kMaxTokens = 64;
constexpr std::size_t kMaxOfOneUser = 8;
constexpr std::int64_t kPatienceMs = 2'000;
constexpr std::int64_t kTokenLifetimeMs = 60'000;
constexpr std::int64_t kRetryMs = 1'000;

// What an event of the desk's own epoll is about; the rest of the number is a receiver's id.
enum class Source : std::uint64_t { listener = 1, timer, word, end };
constexpr unsigned kSourceShift = 56;
std::uint64_t tag(Source source, std::uint64_t id) { return static_cast<std::uint64_t>(source) << kSourceShift | id; }

std::int64_t now_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

bool control_epoll(int epoll, int operation, int fd, std::uint32_t events, std::uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  return ::epoll_ctl(epoll, operation, fd, &event) == 0;
}

void send_word(const MountReceiver& receiver, const MountWord& word) {
  const iovec part{const_cast<MountWord*>(&word), sizeof word};  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  (void)send_message(receiver.control.get(), &part, 1);          // one that is gone is noticed by its pidfd
}

}  // namespace

Result<std::unique_ptr<MountDesk>> MountDesk::open(const std::string& path, std::uint32_t daemon_uid, Starter starter) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error(ErrorCode::invalid_argument, "socket path " + path + " is too long (107 bytes at most)");
  std::strcpy(address.sun_path, path.c_str());  // NOLINT: the bound stands above
  UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return Error::from_errno(errno, "mounts socket");
  (void)::unlink(path.c_str());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(listener.get(), generic, sizeof address) < 0 || ::chmod(path.c_str(), 0666) < 0 ||
      ::listen(listener.get(), 128) < 0)
    return Error::from_errno(errno, "listen on " + path);
  std::unique_ptr<MountDesk> desk(new MountDesk(std::move(listener), daemon_uid));
  LMSB_CHECK(desk->watch());
  if (starter == Starter::root) return desk;
  desk->outside_.reset(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!desk->outside_) return Error::from_errno(errno, "open the mount namespace");
  return desk;
}

Status MountDesk::watch() {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!epoll_ || !timer_ ||
      !control_epoll(epoll_.get(), EPOLL_CTL_ADD, listener_.get(), EPOLLIN, tag(Source::listener, 0)) ||
      !control_epoll(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), EPOLLIN, tag(Source::timer, 0)))
    return Error::from_errno(errno, "watch the mounts socket");
  return {};
}

MountDesk::~MountDesk() {
  for (const auto& [id, receiver] : receivers_)
    (void)sys::pidfd_send_signal(receiver.process.process.pidfd.get(), SIGKILL);
}

void MountDesk::serve() {
  std::array<epoll_event, 16> events{};
  const int n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < n; ++i) {
    const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
    const std::uint64_t id = data & ((std::uint64_t{1} << kSourceShift) - 1);
    switch (static_cast<Source>(data >> kSourceShift)) {
      case Source::listener: start_receiver(); break;
      case Source::timer: fork_failed_ = false; break;
      case Source::word: handle_word(id); break;
      case Source::end: handle_end(id); break;
    }
  }
  expire();
  rearm();
}

void MountDesk::start_receiver() {
  auto started = start_mount_receiver(listener_.get(), outside_.get());
  fork_failed_ = !started.ok();
  if (fork_failed_) return;
  const std::uint64_t id = next_id_++;
  Receiver& receiver = receivers_[id];
  receiver.process = *std::move(started);
  receiver.kill_at_ms = now_ms() + kPatienceMs;
  const bool watched =
      control_epoll(epoll_.get(), EPOLL_CTL_ADD, receiver.process.control.get(), EPOLLIN, tag(Source::word, id)) &&
      control_epoll(epoll_.get(), EPOLL_CTL_ADD, receiver.process.process.pidfd.get(), EPOLLIN, tag(Source::end, id));
  if (watched) return;
  (void)sys::pidfd_send_signal(receiver.process.process.pidfd.get(), SIGKILL);
  receivers_.erase(id);  // out of memory: who reaps it is the parent, at the end
}

void MountDesk::handle_word(std::uint64_t id) {
  const auto found = receivers_.find(id);
  if (found == receivers_.end()) return;
  Receiver& receiver = found->second;
  switch (receiver.stage) {
    case Stage::accepting: return handle_caller(receiver);
    case Stage::receiving: return handle_offer(receiver);
    case Stage::ending: receiver.process.control.reset(); return;
  }
}

void MountDesk::handle_caller(Receiver& receiver) {
  ReceivedFds none;
  const ssize_t size = receive_message(receiver.process.control.get(), &receiver.caller, sizeof receiver.caller, none);
  receiver.stage = Stage::ending;
  if (size != static_cast<ssize_t>(sizeof receiver.caller)) return receiver.process.control.reset();
  const bool is_stranger = outside_ && !is_privileged(receiver.caller.uid);
  const bool goes_on = !is_stranger && may_go_on(receiver.caller);
  if (goes_on) receiver.stage = Stage::receiving;
  send_word(receiver.process, {goes_on ? 1U : 0U, {is_stranger ? EPERM : EAGAIN, {}}});
}

void MountDesk::handle_offer(Receiver& receiver) {
  MountFound offered{EPROTO};
  ReceivedFds fds;
  const ssize_t size = receive_message(receiver.process.control.get(), &offered, sizeof offered, fds);
  receiver.stage = Stage::ending;
  if (size != static_cast<ssize_t>(sizeof offered)) return receiver.process.control.reset();
  Waiting entry{{}, now_ms(), {std::move(fds.fds[0]), receiver.caller.uid, receiver.caller.gid}};
  MountWord word{0, {offered.error, {}}};
  int& error = word.reply.error;
  if (error == 0 && (::fcntl(entry.mount.source.get(), F_GETFL) & O_PATH) == 0) error = EBADF;
  if (error == 0 && !may_wait(receiver.caller.uid)) error = EAGAIN;
  if (error == 0 && ::getrandom(entry.token.bytes.data(), entry.token.bytes.size(), 0) < 0) error = errno;
  if (error == 0) {
    word.reply.token = entry.token;
    waiting_.push_back(std::move(entry));
  }
  send_word(receiver.process, word);
}

void MountDesk::handle_end(std::uint64_t id) {
  const auto found = receivers_.find(id);
  if (found == receivers_.end()) return;
  if (reap(found->second.process.process)) receivers_.erase(found);
}

// A killed receiver can stay for as long as its caller's own file server makes it wait; it counts until it is gone.
void MountDesk::expire() {
  const std::int64_t now = now_ms();
  for (auto& [id, receiver] : receivers_) {
    if (receiver.kill_at_ms > now) continue;
    (void)sys::pidfd_send_signal(receiver.process.process.pidfd.get(), SIGKILL);
    receiver.kill_at_ms = INT64_MAX;
  }
  std::erase_if(waiting_, [now](const Waiting& w) { return now - w.since_ms >= kTokenLifetimeMs; });
}

bool MountDesk::may_go_on(const MountCaller& caller) const {
  if (is_privileged(caller.uid)) return true;
  const auto of_the_user = std::count_if(receivers_.begin(), receivers_.end(),
                                         [&](const auto& entry) { return entry.second.caller.uid == caller.uid; });
  return receivers_.size() <= kMaxReceivers && static_cast<std::size_t>(of_the_user) <= kMaxOfOneUser;
}

bool MountDesk::may_wait(std::uint32_t uid) const {
  const auto count = [this](const auto& wanted) {
    return static_cast<std::size_t>(
        std::count_if(waiting_.begin(), waiting_.end(), [&](const Waiting& w) { return wanted(w.mount.uid); }));
  };
  const bool privileged = is_privileged(uid);
  const std::size_t of_its_kind = count([&](std::uint32_t other) { return is_privileged(other) == privileged; });
  if (of_its_kind >= kMaxTokens) return false;
  return privileged || count([uid](std::uint32_t other) { return other == uid; }) < kMaxOfOneUser;
}

// The listener is asked only when a receiver may start and none is about to accept; the timer rings at the next end of
// a patience or a token.
void MountDesk::rearm() {
  const bool one_accepts = std::any_of(receivers_.begin(), receivers_.end(),
                                       [](const auto& entry) { return entry.second.stage == Stage::accepting; });
  const bool accept = !one_accepts && !fork_failed_ && receivers_.size() < kMaxReceivers + kReserve;
  (void)control_epoll(epoll_.get(), EPOLL_CTL_MOD, listener_.get(), accept ? EPOLLIN : 0U, tag(Source::listener, 0));
  const std::int64_t now = now_ms();
  std::int64_t next = fork_failed_ ? now + kRetryMs : INT64_MAX;
  for (const auto& [id, receiver] : receivers_) next = std::min(next, receiver.kill_at_ms);
  if (!waiting_.empty()) next = std::min(next, waiting_.front().since_ms + kTokenLifetimeMs);
  itimerspec at{};
  if (next != INT64_MAX) {
    at.it_value.tv_sec = next / 1000;
    at.it_value.tv_nsec = (next % 1000) * 1'000'000;
  }
  (void)::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &at, nullptr);  // also ends its being readable
}

std::optional<HandedMount> MountDesk::take(const sandbox::MountToken& token) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& w) { return w.token == token; });
  if (found == waiting_.end()) return std::nullopt;
  HandedMount mount = std::move(found->mount);
  waiting_.erase(found);
  return mount;
}

}  // namespace lmsb::launcher
