#include "os/small_file.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace lmsb::os {
namespace {

// Reads until the end or until there are more than `max` octets. -1 with errno on failure, else 0.
int read_up_to(int fd, std::uint64_t max, std::string& content) {
  std::array<char, 65536> buffer;
  while (content.size() <= max) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) return 0;
    content.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return 0;
}

}  // namespace

std::optional<std::string> read_small_file(const std::string& path) {
  constexpr Bytes kMax = Bytes::KiB(256);
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string content;
  if (!file || read_up_to(file.get(), kMax.count(), content) < 0) return std::nullopt;
  if (content.size() > kMax.count()) content.resize(kMax.count());
  return content;
}

Result<std::string> read_to_end(int fd, Bytes max, const std::string& name) {
  std::string content;
  if (read_up_to(fd, max.count(), content) < 0) return Error::from_errno(errno, "read " + name);
  if (content.size() > max.count()) {
    return Error(ErrorCode::invalid_argument, name + " is larger than " + format_bytes(max));
  }
  return content;
}

Result<std::string> read_whole_file(const std::string& path, Bytes max) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return Error::from_errno(errno, "open " + path);
  return read_to_end(file.get(), max, path);
}

}  // namespace lmsb::os
