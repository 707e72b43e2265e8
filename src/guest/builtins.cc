// The programs of a sandbox that its image does not hold: put and get files, talk to a socket. They run with the
// posture of a command, so paths are resolved inside the sandbox, with its user's rights, charged to its limits.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/become.h"
#include "guest/command.h"
#include "guest/copy_content.h"
#include "guest_protocol/bundle.h"

namespace lmsb::guest {
namespace {

using guest_protocol::BundleEntry;

std::array<char, 64 * 1024> block;

// Reads exactly `size` octets. False at the end of the stream or on an error.
bool read_exactly(int fd, void* data, std::size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = ::read(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

bool write_exactly(int fd, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

void make_parents(char* path) {
  for (char* at = path + 1; *at != '\0'; ++at) {
    if (*at != '/') continue;
    *at = '\0';
    (void)::mkdir(path, 0755);  // what matters is whether the file can be made
    *at = '/';
  }
}

int copy_in(int file, std::uint64_t size) {
  while (size > 0) {
    const auto part = static_cast<std::size_t>(size < block.size() ? size : block.size());
    if (!read_exactly(0, block.data(), part)) return EPIPE;
    if (!write_exactly(file, block.data(), part)) return errno;
    size -= part;
  }
  return 0;
}

int put_one(const BundleEntry& entry, char* path) {
  make_parents(path);
  const UniqueFd file(
      ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, entry.mode & 0777U));
  if (!file) return errno;
  struct stat kind {};
  if (::fstat(file.get(), &kind) < 0) return errno;
  if (!S_ISREG(kind.st_mode)) return EINVAL;
  return copy_in(file.get(), entry.content_size);
}

// `room`: how much of the bundle's content is left.
bool get_one(const char* path, std::uint64_t& room) {
  BundleEntry entry{guest_protocol::kBundleMagic, static_cast<std::uint32_t>(std::strlen(path)), 0, 0, 0};
  const UniqueFd file(::open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat kind {};
  if (!file || ::fstat(file.get(), &kind) < 0) {
    entry.error = errno;
  } else if (!S_ISREG(kind.st_mode)) {
    entry.error = S_ISDIR(kind.st_mode) ? EISDIR : EINVAL;
  } else if (static_cast<std::uint64_t>(kind.st_size) > room) {
    entry.error = guest_protocol::kTooLargeForBundle;
  } else {
    room -= static_cast<std::uint64_t>(kind.st_size);
    entry.content_size = static_cast<std::uint64_t>(kind.st_size);
    entry.mode = kind.st_mode & 0777U;
  }
  if (!write_exactly(1, &entry, sizeof entry) || !write_exactly(1, path, entry.path_size)) return false;
  std::uint64_t left = entry.content_size;
  while (left > 0) {  // a file that shrinks meanwhile is filled up with NULs, so that the stream stays in step
    const auto part = static_cast<std::size_t>(left < block.size() ? left : block.size());
    const ssize_t n = ::read(file.get(), block.data(), part);
    const std::size_t have = n > 0 ? static_cast<std::size_t>(n) : part;
    if (n <= 0) std::memset(block.data(), 0, part);
    if (!write_exactly(1, block.data(), have)) return false;
    left -= have;
  }
  return true;
}

}  // namespace

// Exit status: 0, or the errno of the first file that could not be written, whose path is on stderr.
int run_put() {
  static std::array<char, guest_protocol::kMaxBundlePath + 1> path;
  BundleEntry entry{};
  while (read_exactly(0, &entry, sizeof entry)) {
    if (entry.magic != guest_protocol::kBundleMagic || entry.path_size > guest_protocol::kMaxBundlePath) return EINVAL;
    if (!read_exactly(0, path.data(), entry.path_size)) return EPIPE;
    path[entry.path_size] = '\0';
    if (const int error = put_one(entry, path.data()); error != 0) {
      (void)write_exactly(2, path.data(), entry.path_size);
      return error;
    }
  }
  return 0;
}

int run_get(char* const* argv) {
  if (*argv == nullptr) return EINVAL;
  std::uint64_t room = std::strtoull(*argv, nullptr, 10);
  for (char* const* path = argv + 1; *path != nullptr; ++path)
    if (!get_one(*path, room)) return EPIPE;
  return 0;
}

int run_save(char* path, const char* limit) {
  make_parents(path);
  const UniqueFd file(
      ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644));
  if (!file) return errno;
  struct stat kind {};
  if (::fstat(file.get(), &kind) < 0) return errno;
  if (!S_ISREG(kind.st_mode)) return EINVAL;
  for (std::uint64_t left = std::strtoull(limit, nullptr, 10);;) {
    const ssize_t n = ::read(0, block.data(), block.size());
    if (n == 0) return 0;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    const auto part =
        static_cast<std::size_t>(static_cast<std::uint64_t>(n) < left ? static_cast<std::uint64_t>(n) : left);
    if (!write_exactly(file.get(), block.data(), part)) return errno;
    left -= part;
    if (part < static_cast<std::size_t>(n)) return EFBIG;
  }
}

// Exit status: 0 when the other end has closed, else the errno of what failed. The sending half stays open until then:
// servers take its end for a client that has gone. What is received beside octets (descriptors) ends here, so it cannot
// reach the daemon: closing a hostile one may block.
int run_connect(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof address.sun_path) return ENAMETOOLONG;
  std::strcpy(address.sun_path, path);  // NOLINT: the bound stands in the line above
  const UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (!connection || ::connect(connection.get(), generic, sizeof address) < 0) return errno;
  if (::signal(SIGPIPE, SIG_IGN) == SIG_ERR) return errno;
  // A server may answer before it has read all and close: then its answer says more than the error.
  std::uint64_t bytes = 0;
  (void)copy_content(0, connection.get(), bytes);
  (void)::close(0);  // the request's memory is the sender's again
  return copy_content(connection.get(), 1, bytes);
}

}  // namespace lmsb::guest
