#include "guest/netlink_door.h"

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <fcntl.h>
#include <limits>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/posture.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

constexpr std::uint32_t argument(std::size_t index) {
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
}
constexpr sock_filter load(std::size_t offset) {
  return {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
}
constexpr sock_filter skip_unless(std::uint32_t value, std::uint8_t count) {
  return {BPF_JMP | BPF_JEQ | BPF_K, 0, count, value};
}

// The kernel's count of this network namespace. False: it does not tell.
bool count_sockets(std::uint64_t& count) {
  static std::array<char, 32 * 1024> text;  // a line for each protocol, netlink near the end
  const UniqueFd file(::open("/proc/self/net/protocols", O_RDONLY | O_CLOEXEC));
  if (!file) return false;
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(file.get(), &text[size], text.size() - size);
    if (n < 0) return false;
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  return parse_netlink_count({text.data(), size}, count);
}

void send_refusal(int listener, std::uint64_t id, int error) {
  seccomp_notif_resp refusal{};
  refusal.id = id;
  refusal.error = -error;
  (void)::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &refusal);  // whoever asked may be gone
}

void refuse(int listener, int error) {
  seccomp_notif question{};
  if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) == 0) send_refusal(listener, question.id, error);
}

}  // namespace

bool parse_netlink_count(std::string_view text, std::uint64_t& count) {
  constexpr std::string_view kName = "\nNETLINK ";  // then the size of one, then how many
  const std::size_t found = text.find(kName);
  if (found == std::string_view::npos) return false;
  std::string_view line = text.substr(found + kName.size());
  line = line.substr(0, line.find('\n'));
  for (int field = 0; field < 2; ++field) {
    const std::size_t at = line.find_first_not_of(' ');
    if (at == std::string_view::npos) return false;
    line.remove_prefix(at);
    const auto parsed = std::from_chars(line.data(), line.data() + line.size(), count);
    if (parsed.ec != std::errc()) return false;
    line.remove_prefix(static_cast<std::size_t>(parsed.ptr - line.data()));
  }
  return true;
}

// Behind a refused comparison everything goes on at the end of these rules, but for the guest's numbers: who has not
// both of them asks.
NetlinkDoor::Rules NetlinkDoor::rules(const std::array<std::uint32_t, 2>& ours) {
  return {{load(offsetof(seccomp_data, arch)),
           skip_unless(AUDIT_ARCH_X86_64, 16),
           load(offsetof(seccomp_data, nr)),
           skip_unless(SYS_socket, 14),
           load(argument(0)),
           skip_unless(AF_NETLINK, 12),
           load(argument(2)),
           skip_unless(NETLINK_ROUTE, 10),
           load(argument(1)),
           {BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xf},
           {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, SOCK_RAW},
           skip_unless(SOCK_DGRAM, 6),
           load(argument(3)),
           skip_unless(ours[0], 3),
           load(argument(4)),
           skip_unless(ours[1], 1),
           {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
           {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF}}};
}

int NetlinkDoor::install_filter_from(int fd) {
  if (::getrandom(ours_.data(), sizeof ours_, 0) != static_cast<ssize_t>(sizeof ours_)) return errno;
  const Rules first = rules(ours_);
  const int error = install_seccomp_behind(first, fd, listener_);
  return error == EBUSY || error == EINVAL ? install_seccomp_from(fd) : error;
}

void NetlinkDoor::serve() {
  const pid_t pid = ::fork();
  if (pid == 0) run();
  if (pid > 0) server_ = pid;
  if (pid < 0) refuse(listener_.get(), EOPNOTSUPP);  // as many processes as there may be
}

bool NetlinkDoor::note_end(pid_t pid) {
  if (pid != server_) return false;
  server_ = -1;
  return true;
}

// Ends when it can no more be what it is to be: whoever asks has it tried again.
void NetlinkDoor::run() {
  constexpr int kListener = 3;
  constexpr int kIdleMs = 100;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_DUMPABLE, 0);
  if (::dup2(listener_.get(), kListener) < 0 || sys::close_range(kListener + 1, ~0U, 0) < 0) ::_exit(1);
  (void)listener_.release();  // closed a moment ago
  listener_.reset(kListener);
  if (drop_all_capabilities() != 0) ::_exit(1);
  max_sockets_ = max_sockets(largest_buffer());
  pollfd wait{kListener, POLLIN, 0};
  while (::poll(&wait, 1, kIdleMs) > 0 && (wait.revents & POLLIN) != 0) answer();
  ::_exit(0);
}

void NetlinkDoor::answer() const {
  seccomp_notif question{};
  if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &question) < 0) return;  // whoever asked is gone
  if (const int error = give(question); error != 0) send_refusal(listener_.get(), question.id, error);
}

int NetlinkDoor::make_socket(int type) const {
  return static_cast<int>(::syscall(SYS_socket, AF_NETLINK, type | SOCK_CLOEXEC, NETLINK_ROUTE, ours_[0], ours_[1]));
}

// The kernel cuts off what is too much. Where it does not tell, more than any.
std::uint64_t NetlinkDoor::largest_buffer() const {
  const UniqueFd probe(make_socket(SOCK_RAW));
  int size = std::numeric_limits<int>::max();
  socklen_t length = sizeof size;
  (void)::setsockopt(probe.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  (void)::getsockopt(probe.get(), SOL_SOCKET, SO_RCVBUF, &size, &length);
  return static_cast<std::uint64_t>(size);
}

// Returns 0, also when nobody waits for it any more, or the errno to refuse it with. EOPNOTSUPP is what libraries take
// for "there is no list of interfaces".
int NetlinkDoor::give(const seccomp_notif& question) const {
  const auto type = static_cast<int>(question.data.args[1]);
  const UniqueFd made(make_socket(type));
  if (!made) return errno;
  std::uint64_t count = 0;  // with this one
  if (!count_sockets(count) || count > max_sockets_) return EOPNOTSUPP;
  seccomp_notif_addfd gift{};
  gift.id = question.id;
  gift.flags = SECCOMP_ADDFD_FLAG_SEND;
  gift.srcfd = static_cast<std::uint32_t>(made.get());
  gift.newfd_flags = static_cast<std::uint32_t>((type & SOCK_CLOEXEC) != 0 ? O_CLOEXEC : 0);
  if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_ADDFD, &gift) >= 0) return 0;
  return errno == ENOENT ? 0 : errno;
}

}  // namespace lmsb::guest
