#include "guest/users.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sched.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/files.h"
#include "guest_protocol/profile.h"
#include "os/message_socket.h"

namespace lmsb::guest {
namespace {

using guest_protocol::kInnerIds;
using guest_protocol::kOuterGuestId;

bool say(int socket) { return ::send(socket, "", 1, MSG_NOSIGNAL) == 1; }

bool hear(int socket) {
  char word = 0;
  ssize_t got = 0;
  do got = ::recv(socket, &word, 1, 0);
  while (got < 0 && errno == EINTR);
  return got == 1;
}

// The first in the namespace. Its exit status is an errno.
[[noreturn]] void begin_users(int socket, int user_limits) {
  if (::setresgid(kOuterGuestId, kOuterGuestId, kOuterGuestId) < 0 ||
      ::setresuid(kOuterGuestId, kOuterGuestId, kOuterGuestId) < 0 || ::unshare(CLONE_NEWUSER) < 0)
    ::_exit(errno);
  if (!say(socket) || !hear(socket)) ::_exit(EPIPE);
  ::_exit(write_user_limits(user_limits));
}

int map_ids(int proc, pid_t pid, UniqueFd& users) {
  std::array<char, 48> path{};
  std::array<char, 32> map{};
  const auto size = static_cast<std::size_t>(std::snprintf(map.data(), map.size(), "0 0 %u\n", kInnerIds));
  for (const char* name : {"uid_map", "gid_map"}) {
    std::snprintf(path.data(), path.size(), "%d/%s", pid, name);
    if (const int error = write_existing(proc, path.data(), {map.data(), size}); error != 0) return error;
  }
  std::snprintf(path.data(), path.size(), "%d/ns/user", pid);
  users.reset(::openat(proc, path.data(), O_RDONLY | O_CLOEXEC));
  return users ? 0 : errno;
}

// How it has ended: its errno.
int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return errno;
  return WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

}  // namespace

int write_user_limits(int directory) {
  for (const guest_protocol::UserMax& limit : guest_protocol::kUserMax) {
    std::array<char, 16> value{};
    const int size = std::snprintf(value.data(), value.size(), "%u", limit.value);
    const int error = write_existing(directory, limit.name, {value.data(), static_cast<std::size_t>(size)});
    if (error != 0 && error != ENOENT) return error;
  }
  return 0;
}

int make_users(int proc, int user_limits, UniqueFd& users) {
  UniqueFd ours;
  UniqueFd its;
  if (!message_socket_pair(ours, its)) return errno;
  const pid_t pid = ::fork();
  if (pid < 0) return errno;
  if (pid == 0) {
    ours.reset();
    begin_users(its.get(), user_limits);
  }
  its.reset();
  int error = hear(ours.get()) ? map_ids(proc, pid, users) : 0;
  if (error == 0 && users) (void)say(ours.get());
  ours.reset();  // it waits no longer
  const int its_error = wait_for(pid);
  if (error == 0) error = its_error;
  return error == 0 && !users ? ECHILD : error;
}

int enter_users(int users) { return ::setns(users, CLONE_NEWUSER) < 0 ? errno : 0; }

}  // namespace lmsb::guest
