#include "launcher/handed_files.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>

#include "os/message_socket.h"

namespace lmsb::launcher {
namespace {

struct Message {
  std::uint32_t count = 0;
  std::array<std::int32_t, kMaxHandedFiles> errors{};  // 0: the next descriptor is the file's
};

static_assert(kMaxHandedFiles <= kMaxMessageFds);

// Opening a pipe that nobody writes to must not hold the parent up.
UniqueFd open_file(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
}

Error parent_gone() { return Error(ErrorCode::cancelled, "read the settings: the parent is gone"); }

}  // namespace

void hand_files(int socket, const std::vector<std::string>& paths) {
  Message message;
  std::vector<UniqueFd> open_files;
  std::vector<int> fds;
  for (const std::string& path : paths) {
    if (message.count == kMaxHandedFiles) break;
    UniqueFd file = open_file(path);
    message.errors.at(message.count++) = file ? 0 : errno;
    if (!file) continue;
    fds.push_back(file.get());
    open_files.push_back(std::move(file));
  }
  const iovec part{&message, sizeof message};
  (void)send_message(socket, &part, 1, fds.data(), fds.size());
}

std::optional<DaemonWord> take_word(int socket) {
  std::uint8_t octet = 0;
  if (receive_without_descriptors(socket, &octet, 1, MSG_DONTWAIT) != 1) return std::nullopt;
  const auto word = static_cast<DaemonWord>(octet);
  return word == DaemonWord::files || word == DaemonWord::ready ? std::optional(word) : std::nullopt;
}

Result<std::optional<std::vector<HandedFile>>> receive_files(int socket) {
  Message message;
  ReceivedFds received;
  const ssize_t got = receive_message(socket, &message, sizeof message, received, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::optional<std::vector<HandedFile>>();
  if (got != sizeof message || message.count > kMaxHandedFiles) return parent_gone();
  std::vector<HandedFile> files;
  for (std::uint32_t i = 0, next = 0; i < message.count; ++i) {
    HandedFile file;
    file.error = message.errors.at(i);
    if (file.error == 0) file.fd = std::move(received.fds.at(next++));
    files.push_back(std::move(file));
  }
  return std::optional(std::move(files));
}

void say(int socket, DaemonWord word) {
  const iovec part{&word, sizeof word};
  (void)send_message(socket, &part, 1);
}

}  // namespace lmsb::launcher
