#include "cli/mounts_client.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "os/message_socket.h"

namespace lmsb::cli {
namespace {

// The desk's messages, as sandbox/mount_token.h has them on its side: one offer with one descriptor, one reply, end.
struct Offer {
  std::uint32_t magic = 0x4C4D4D4F;
  std::uint32_t version = 1;
};
struct Reply {
  std::int32_t error = 0;  // errno; 0 = the token is set
  std::array<std::uint8_t, 16> token{};
};
static_assert(sizeof(Offer) == 8 && sizeof(Reply) == 20);

Result<UniqueFd> connect_seqpacket(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path)
    return Error(ErrorCode::invalid_argument, "the path is too long: " + path);
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return Error::from_errno(errno, "make a socket");
  const timeval bound{10, 0};
  for (const int option : {SO_SNDTIMEO, SO_RCVTIMEO})
    ::setsockopt(socket.get(), SOL_SOCKET, option, &bound, sizeof bound);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    return Error::from_errno(errno, "connect to " + path);
  }
  return socket;
}

Result<UniqueFd> open_directory(const std::string& path) {
  UniqueFd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory && errno == ENOTDIR) {
    return Error(ErrorCode::invalid_argument, path + " is not a directory").with_hint("-v shows directories only");
  }
  if (!directory) return Error::from_errno(errno, "open " + path);
  return directory;
}

std::string to_hexadecimal(const std::array<std::uint8_t, 16>& token) {
  std::string text;
  for (const std::uint8_t byte : token) text += fmt::format("{:02x}", byte);
  return text;
}

Result<UniqueFd> open_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat kind {};
  if (!file || ::fstat(file.get(), &kind) < 0) return Error::from_errno(errno, "open " + path);
  if (!S_ISREG(kind.st_mode)) return Error(ErrorCode::invalid_argument, path + " is no regular file");
  return file;
}

// Who takes what, and what is said when too many wait.
struct Desk {
  std::string name;
  std::string what;
  Error full;
};

Result<std::string> exchange(int socket, int descriptor, const Desk& desk) {
  Offer offer;
  const iovec part{&offer, sizeof offer};
  if (!send_message(socket, &part, 1, &descriptor, 1)) return Error::from_errno(errno, "hand over the " + desk.what);
  Reply reply;
  ReceivedFds none_expected;  // closed with it, if any came
  const ssize_t got = receive_message(socket, &reply, sizeof reply, none_expected);
  if (got < 0) return Error::from_errno(errno, "wait for " + desk.name + " to take the " + desk.what);
  if (got != sizeof reply) return Error(ErrorCode::unavailable, desk.name + " did not answer");
  if (reply.error == EAGAIN) return desk.full;
  if (reply.error == EOWNERDEAD)  // of a desk without root
    return Error(ErrorCode::permission_denied, "the directory belongs to a subordinate id of yours")
        .with_hint("sandboxes have these ids, too: what other containers keep is not shown to them");
  if (reply.error != 0) return Error::from_errno(reply.error, "hand over the " + desk.what);
  return to_hexadecimal(reply.token);
}

Result<std::string> offer_directory(const std::string& mounts_socket, const std::string& path) {
  LMSB_TRY(const auto directory, open_directory(path));
  LMSB_TRY(const auto socket, connect_seqpacket(mounts_socket));
  const auto full =
      Error(ErrorCode::resource_exhausted, "8 directories of yours wait to be mounted already, or 64 of everybody's")
          .with_hint("try again when sandboxes that wait have started");
  return exchange(socket.get(), directory.get(), {"the launcher's mount desk", "directory", full});
}

}  // namespace

Result<OfferedMount> offer_mount(const std::string& mounts_socket, const MountFlag& flag) {
  auto token = offer_directory(mounts_socket, flag.source);
  if (!token.ok()) return std::move(token).error().with_context("-v " + flag.source + ":" + flag.target);
  return OfferedMount{*std::move(token), flag.target, flag.read_only};
}

Result<std::string> offer_file(const std::string& files_socket, const std::string& path) {
  LMSB_TRY(const auto file, open_file(path));
  LMSB_TRY(const auto socket, connect_seqpacket(files_socket));
  const auto full =
      Error(ErrorCode::resource_exhausted, "16 files wait to be pulled already").with_hint("try again in a minute");
  return exchange(socket.get(), file.get(), {"the daemon's file desk", "file", full});
}

}  // namespace lmsb::cli
