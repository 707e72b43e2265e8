#include "guest/server.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <signal.h>
#include <string_view>
#include <sys/signalfd.h>
#include <sys/statfs.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#include "guest/posture.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

using guest_protocol::Kind;
using guest_protocol::Step;

std::array<char, sizeof(guest_protocol::StartRequest) + guest_protocol::kMaxBody> message;

std::uint64_t now_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_BOOTTIME, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1000U + static_cast<std::uint64_t>(t.tv_nsec) / 1'000'000U;
}

template <class Message>
bool send(int socket, const Message& value, const int* fds = nullptr, std::size_t count = 0) {
  const iovec part{const_cast<Message*>(&value), sizeof value};  // NOLINT: C interface
  return send_message(socket, &part, 1, fds, count);
}

// Reads a small file of a cgroup. Returns its text, empty when it cannot be read.
std::string_view read_cgroup_file(int cgroup, const char* name, std::array<char, 1024>& buffer) {
  const UniqueFd file(::openat(cgroup, name, O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  const ssize_t n = ::read(file.get(), buffer.data(), buffer.size() - 1);
  if (n <= 0) return {};
  buffer[static_cast<std::size_t>(n)] = '\0';
  return {buffer.data(), static_cast<std::size_t>(n)};
}

// The number behind `key` in lines of "key number"; 0 when absent.
std::uint64_t number_of(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  return at == std::string_view::npos ? 0 : std::strtoull(text.data() + at + key.size(), nullptr, 10);
}

bool is_populated(int cgroup) {
  std::array<char, 1024> buffer{};
  return number_of(read_cgroup_file(cgroup, "cgroup.events", buffer), "populated ") != 0;
}

bool is_disk_full() {
  struct statfs fs {};
  return ::statfs("/", &fs) == 0 && fs.f_blocks > 0 && (fs.f_bavail == 0 || (fs.f_files > 0 && fs.f_ffree == 0));
}

}  // namespace

Server::Server(int channel, const Builder& builder, bool keep_standby)
    : channel_(channel), builder_(builder), keep_standby_(keep_standby) {}

int Server::prepare(Step& failed) {
  failed = Step::standby;
  if (const int error = limit_open_files(OpenFiles::of_guest); error != 0) return error;
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) < 0) return errno;
  children_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  timer_.reset(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!children_ || !timer_) return errno;
  return fork_standby(builder_.cgroup(), next_cgroup_++, builder_.landlock_ruleset(), standby_, failed);
}

bool Server::send_ready() {
  guest_protocol::Ready ready{};
  ready.header = {Kind::ready, 0};
  ready.landlock_abi = builder_.landlock_abi();
  ready.step_us = builder_.step_us();
  return send(channel_, ready);
}

void Server::run() {
  std::array<pollfd, 3> waits = {{{channel_, POLLIN, 0}, {children_.get(), POLLIN, 0}, {timer_.get(), POLLIN, 0}}};
  for (;;) {
    if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return;
    if ((waits[1].revents & POLLIN) != 0) handle_children();
    if ((waits[2].revents & POLLIN) != 0) handle_deadlines();
    if ((waits[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !handle_message()) return;
    if (keep_standby_ && standby_.pid < 0) make_standby();
  }
}

void Server::make_standby() {
  Step failed{};
  Standby fresh;  // out of processes is no reason to end: the next start tries again
  if (fork_standby(builder_.cgroup(), next_cgroup_, builder_.landlock_ruleset(), fresh, failed) == 0)
    standby_ = std::move(fresh);
  ++next_cgroup_;
}

bool Server::handle_message() {
  ReceivedFds fds;
  const ssize_t size = receive_message(channel_, message.data(), message.size(), fds);
  if (size <= 0) return false;
  guest_protocol::Header header{};
  if (static_cast<std::size_t>(size) < sizeof header) return false;
  std::memcpy(&header, message.data(), sizeof header);
  if (header.kind == Kind::start) return handle_start(static_cast<std::size_t>(size), fds);
  if (header.kind != Kind::kill || static_cast<std::size_t>(size) != sizeof(guest_protocol::KillRequest)) return false;
  guest_protocol::KillRequest request{};
  std::memcpy(&request, message.data(), sizeof request);
  handle_kill(request);
  return true;
}

bool Server::handle_start(std::size_t size, ReceivedFds& fds) {
  guest_protocol::StartRequest request{};
  if (size < sizeof request) return false;
  std::memcpy(&request, message.data(), sizeof request);
  Running* slot = free_slot();
  if (slot == nullptr) return send_start_failed(request.header.sequence, Step::command_fork, EAGAIN), true;
  if (standby_.pid < 0) {
    Step failed{};
    const int error = fork_standby(builder_.cgroup(), next_cgroup_++, builder_.landlock_ruleset(), standby_, failed);
    if (error != 0) return send_start_failed(request.header.sequence, failed, error), true;
  }
  const iovec part{message.data(), size};
  const int stdin_fd = fds.count > 0 ? fds.fds[0].get() : -1;
  if (!send_message(standby_.socket.get(), &part, 1, &stdin_fd, fds.count > 0 ? 1 : 0)) {
    send_start_failed(request.header.sequence, Step::command_fork, errno);
    linger(standby_.cgroup_number);
    standby_ = Standby{};  // closed, it exits, and is reaped like any other child
    return true;
  }
  const guest_protocol::Started started{{Kind::started, request.header.sequence}, standby_.pid};
  const std::array<int, 2> ends = {standby_.out.get(), standby_.err.get()};
  const bool sent = send(channel_, started, ends.data(), ends.size());
  slot->pid = standby_.pid;
  slot->sequence = request.header.sequence;
  slot->cgroup_number = standby_.cgroup_number;
  slot->deadline_ms = request.spare_deadline_ms == 0 ? 0 : now_ms() + request.spare_deadline_ms;
  slot->pidfd = std::move(standby_.pidfd);
  slot->socket = std::move(standby_.socket);
  slot->cgroup = std::move(standby_.cgroup);
  standby_ = Standby{};
  if (slot->deadline_ms != 0) arm_timer();
  return sent;
}

void Server::handle_kill(const guest_protocol::KillRequest& request) {
  Running* command = find(request.header.sequence);
  if (command == nullptr) return;  // it has just ended
  if (request.whole_tree != 0) return kill_tree(*command);
  (void)sys::pidfd_send_signal(command->pidfd.get(), request.signal);
}

void Server::kill_tree(const Running& command) {
  const UniqueFd file(::openat(command.cgroup.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), "1", 1) != 1) (void)sys::pidfd_send_signal(command.pidfd.get(), SIGKILL);
}

void Server::handle_children() {
  signalfd_siginfo info{};
  while (::read(children_.get(), &info, sizeof info) > 0) {
  }
  for (;;) {
    int status = 0;
    rusage usage{};
    const pid_t pid = ::wait4(-1, &status, WNOHANG, &usage);  // PID 1 is everybody's parent in the end
    if (pid <= 0) break;
    if (pid == standby_.pid) {
      remove_command_cgroup(builder_.cgroup(), standby_.cgroup_number);
      standby_ = Standby{};
      continue;
    }
    for (Running& command : running_)
      if (command.pid == pid) finish(command, status, usage);
  }
  sweep_lingering();
}

void Server::finish(Running& command, int status, const rusage& usage) {
  if (!report_from_standby(command)) {
    std::array<char, 1024> buffer{};
    guest_protocol::Exited exited{};
    exited.header = {Kind::exited, command.sequence};
    exited.status = status;
    exited.tree_left = is_populated(command.cgroup.get()) ? 1 : 0;
    exited.timed_out = command.timed_out ? 1 : 0;
    exited.disk_full = status != 0 && is_disk_full() ? 1 : 0;
    const std::string_view cpu = read_cgroup_file(command.cgroup.get(), "cpu.stat", buffer);
    exited.cpu_user_us = number_of(cpu, "user_usec ");
    exited.cpu_system_us = number_of(cpu, "system_usec ");
    exited.max_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024U;
    (void)send(channel_, exited);
    if (exited.tree_left != 0) {
      linger(command.cgroup_number);
    } else {
      remove_command_cgroup(builder_.cgroup(), command.cgroup_number);
    }
  } else {
    remove_command_cgroup(builder_.cgroup(), command.cgroup_number);
  }
  command = Running{};
}

// A standby that could not become its command says so before it exits. True when it did, and it has been passed on.
bool Server::report_from_standby(Running& command) {
  BecomeFailure failure{};
  ReceivedFds fds;
  const ssize_t size = receive_message(command.socket.get(), &failure, sizeof failure, fds, MSG_DONTWAIT);
  if (size != static_cast<ssize_t>(sizeof failure)) return false;
  send_start_failed(command.sequence, failure.step, failure.error);
  return true;
}

void Server::send_start_failed(std::uint32_t sequence, Step step, int error) {
  const guest_protocol::StartFailed failed{{Kind::start_failed, sequence}, step, error};
  (void)send(channel_, failed);
}

void Server::handle_deadlines() {
  std::uint64_t expirations = 0;
  (void)!::read(timer_.get(), &expirations, sizeof expirations);
  const std::uint64_t now = now_ms();
  for (Running& command : running_) {
    if (command.pid < 0 || command.deadline_ms == 0 || command.deadline_ms > now) continue;
    command.deadline_ms = 0;
    command.timed_out = true;
    kill_tree(command);
  }
  arm_timer();
}

void Server::arm_timer() {
  std::uint64_t first = 0;
  for (const Running& command : running_)
    if (command.pid >= 0 && command.deadline_ms != 0 && (first == 0 || command.deadline_ms < first))
      first = command.deadline_ms;
  itimerspec spec{};
  spec.it_value.tv_sec = static_cast<time_t>(first / 1000U);
  spec.it_value.tv_nsec = static_cast<long>(first % 1000U * 1'000'000U);
  (void)::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Server::linger(std::uint32_t cgroup_number) {
  if (lingering_count_ < lingering_.size()) lingering_[lingering_count_++] = cgroup_number;
}

// Cgroups of background trees whose last process has just gone.
void Server::sweep_lingering() {
  for (std::size_t i = 0; i < lingering_count_;) {
    std::array<char, 32> path{};
    (void)std::snprintf(path.data(), path.size(), "work/c-%u", lingering_[i]);
    if (::unlinkat(builder_.cgroup(), path.data(), AT_REMOVEDIR) < 0 && errno == EBUSY) {
      ++i;
    } else {
      lingering_[i] = lingering_[--lingering_count_];
    }
  }
}

Server::Running* Server::find(std::uint32_t sequence) {
  for (Running& command : running_)
    if (command.pid >= 0 && command.sequence == sequence) return &command;
  return nullptr;
}

Server::Running* Server::free_slot() {
  for (Running& command : running_)
    if (command.pid < 0) return &command;
  return nullptr;
}

}  // namespace lmsb::guest
