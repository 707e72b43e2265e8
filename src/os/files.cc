#include "os/files.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/xattr.h>

#include "base/unique_fd.h"

namespace lmsb::os {
namespace {

constexpr std::size_t kMaxText = 1U << 20U;

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> part{};
  while (text.size() < kMaxText) {
    const ssize_t n = ::read(fd, part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(n));
  }
  return text;
}

Status write_once(const UniqueFd& file, std::string_view name, std::string_view text) {
  if (file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  return Error::from_errno(errno, "write '" + std::string(text.substr(0, 80)) + "' to " + std::string(name));
}

}  // namespace

std::string read_text(const std::string& path) { return read_text_at(AT_FDCWD, path.c_str()); }

std::string read_text_at(int directory, const char* name) {
  const UniqueFd file(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  return file ? read_all(file.get()) : std::string();
}

std::uint64_t number_behind(std::string_view text, std::string_view key) {
  for (std::size_t at = text.find(key); at < text.size(); at = text.find(key, at + 1)) {
    if (at != 0 && text[at - 1] != '\n') continue;
    std::uint64_t number = 0;
    (void)std::from_chars(text.data() + at + key.size(), text.data() + text.size(), number);
    return number;
  }
  return 0;
}

Status write_text(const std::string& path, std::string_view text) {
  return write_text_at(AT_FDCWD, path.c_str(), text);
}

Status write_text_at(int directory, const char* name, std::string_view text) {
  return write_once(UniqueFd(::openat(directory, name, O_WRONLY | O_CLOEXEC)), name, text);
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = EIO;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool has_attribute(const std::string& path, const char* name) {
  char value = 0;
  return ::getxattr(path.c_str(), name, &value, 1) == 1 && value == '1';
}

}  // namespace lmsb::os
