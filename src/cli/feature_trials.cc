#include "cli/feature_trials.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/small_file.h"
#include "os/sys.h"
#include "os/tcp_peer.h"

namespace lmsb::cli {
namespace {

Trial works() { return {Trial::Outcome::works, ""}; }
Trial fails(int error) { return {Trial::Outcome::fails, std::strerror(error)}; }
Trial needs_root() { return {Trial::Outcome::unknown, "trying it needs root"}; }

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

// A process that sits in a user namespace of its own until this is destroyed.
class NamespaceHolder {
 public:
  NamespaceHolder() {
    std::array<int, 2> ready{};
    std::array<int, 2> done{};
    if (::pipe2(ready.data(), O_CLOEXEC) < 0 || ::pipe2(done.data(), O_CLOEXEC) < 0) return;
    const UniqueFd ready_read(ready[0]);
    UniqueFd ready_write(ready[1]);
    const UniqueFd done_read(done[0]);
    done_write_.reset(done[1]);
    pid_ = ::fork();
    if (pid_ == 0) hold(ready_write.get(), done_read.get(), done_write_.get());
    ready_write.reset();
    char error = static_cast<char>(EIO);
    if (::read(ready_read.get(), &error, 1) == 1) error_ = static_cast<unsigned char>(error);
  }
  ~NamespaceHolder() {
    done_write_.reset();
    if (pid_ > 0) (void)wait_for(pid_);
  }
  NamespaceHolder(const NamespaceHolder&) = delete;
  NamespaceHolder& operator=(const NamespaceHolder&) = delete;

  int error() const { return error_; }  // 0 = it stands
  std::string proc() const { return "/proc/" + std::to_string(pid_); }

 private:
  // After fork: no allocation, no locks.
  [[noreturn]] static void hold(int ready, int done, int own_done_write) {
    ::close(own_done_write);
    char error = ::unshare(CLONE_NEWUSER) == 0 ? '\0' : static_cast<char>(errno);
    if (::write(ready, &error, 1) == 1) (void)!::read(done, &error, 1);  // until the other end is closed
    ::_exit(0);
  }

  pid_t pid_ = -1;
  int error_ = EIO;
  UniqueFd done_write_;
};

int write_file(const std::string& path, std::string_view text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno;
  return ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : errno;
}

// Where the v2 hierarchy is mounted; "" = nowhere.
std::string cgroup2_root() {
  std::istringstream lines(os::read_small_file("/proc/self/mounts").value_or(""));
  std::string source;
  std::string target;
  std::string type;
  std::string rest;
  while (lines >> source >> target >> type && std::getline(lines, rest)) {
    if (type == "cgroup2") return target;
  }
  return "";
}

}  // namespace

Trial try_user_namespace() {
  const NamespaceHolder holder;
  return holder.error() == 0 ? works() : fails(holder.error());
}

Trial try_seccomp_filter() {
  const std::uint32_t action = SECCOMP_RET_ERRNO;
  return sys::seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? works() : fails(errno);
}

Trial try_overlay() {
  const UniqueFd context(sys::fsopen("overlay", sys::kFsopenCloexec));
  if (context) return works();
  const int error = errno;
  if (error != EPERM) return fails(error);
  const bool listed = os::read_small_file("/proc/filesystems").value_or("").find("\toverlay\n") != std::string::npos;
  return listed ? works() : needs_root();
}

Trial try_idmapped_mount() {
  if (::geteuid() != 0) return needs_root();
  const NamespaceHolder holder;
  if (holder.error() != 0) return fails(holder.error());
  for (const char* map : {"/uid_map", "/gid_map"}) {
    if (const int error = write_file(holder.proc() + map, "0 100000 65536"); error != 0) return fails(error);
  }
  const UniqueFd name_space(::open((holder.proc() + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
  if (!name_space) return fails(errno);
  const UniqueFd tree(sys::open_tree(AT_FDCWD, "/usr", sys::kOpenTreeClone | O_CLOEXEC));
  if (!tree) return fails(errno);
  sys::MountAttr attributes;
  attributes.set = sys::kMountIdmap;
  attributes.userns_fd = static_cast<std::uint64_t>(name_space.get());
  return sys::mount_setattr(tree.get(), "", AT_EMPTY_PATH, attributes) == 0 ? works() : fails(errno);
}

Trial try_cgroup_kill() {
  if (::geteuid() != 0) return needs_root();
  const std::string root = cgroup2_root();
  if (root.empty()) return {Trial::Outcome::fails, "no cgroup2 is mounted"};
  const std::string group = root + "/lm-sandbox-doctor-" + std::to_string(::getpid());
  if (::mkdir(group.c_str(), 0755) < 0) return fails(errno);
  const bool there = ::access((group + "/cgroup.kill").c_str(), W_OK) == 0;
  const int error = errno;
  ::rmdir(group.c_str());
  return there ? works() : fails(error);
}

// Asked about a connection of ours with ourselves, over loopback.
Trial try_tcp_peer() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd caller(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener || !caller) return fails(errno);
  sockaddr_storage ours{};
  auto* address = reinterpret_cast<sockaddr*>(&ours);
  socklen_t size = sizeof(sockaddr_in);
  address->sa_family = AF_INET;
  reinterpret_cast<sockaddr_in*>(&ours)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener.get(), address, size) < 0 || ::listen(listener.get(), 1) < 0) return fails(errno);
  if (::getsockname(listener.get(), address, &size) < 0) return fails(errno);
  if (::connect(caller.get(), address, size) < 0) return fails(errno);
  const UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!accepted) return fails(errno);
  sockaddr_storage theirs{};
  size = sizeof theirs;
  if (::getsockname(caller.get(), reinterpret_cast<sockaddr*>(&theirs), &size) < 0) return fails(errno);
  const auto uid = tcp_peer_uid(theirs, ours);
  return uid.ok() ? works() : Trial{Trial::Outcome::fails, uid.error().message()};
}

int probe_landlock_abi() {
  constexpr unsigned kVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
  const int abi = sys::landlock_create_ruleset(nullptr, 0, kVersion);
  return abi < 0 ? 0 : abi;
}

}  // namespace lmsb::cli
