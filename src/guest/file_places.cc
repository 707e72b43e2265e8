#include "guest/file_places.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "guest/file_answer.h"
#include "guest_protocol/file_records.h"

namespace lmsb::guest {
namespace {

constexpr int kMaxLinks = 40;

using PathText = std::array<char, guest_protocol::kMaxFilePath + 1>;

// Splits `path` at its last component: `parent` gets the rest, "/" at least.
std::string_view split(std::string_view path, PathText& parent) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  const std::string_view name = path.substr(slash + 1);
  const std::string_view above = slash == 0 ? std::string_view("/") : path.substr(0, slash);
  std::memcpy(parent.data(), above.data(), above.size());
  parent[above.size()] = '\0';
  return name;
}

Place open_place(const char* path, bool make_parents) {
  if (*path != '/' || std::strlen(path) > guest_protocol::kMaxFilePath) answer::failed(path, EINVAL);
  PathText parent;
  const std::string_view name = split(path, parent);
  Place place;
  if (name.size() >= place.name.size()) answer::failed(path, ENAMETOOLONG);
  std::memcpy(place.name.data(), name.data(), name.size());
  if (name.empty()) place.name[0] = '.';
  if (make_parents) {
    if (const int error = make_parent_directories(path); error != 0) answer::failed(path, error);
  }
  place.dir = ::open(parent.data(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (place.dir < 0) answer::failed(path, errno);
  // Names can be made in a directory that cannot be read; where it can be, it serves for everything.
  if (const int readable = ::openat(place.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); readable >= 0) {
    ::close(place.dir);
    place.dir = readable;
  }
  place.exists = ::fstatat(place.dir, place.name.data(), &place.status, AT_SYMLINK_NOFOLLOW) == 0;
  if (!place.exists && errno != ENOENT) answer::failed(path, errno);
  return place;
}

}  // namespace

int make_parent_directories(const char* path) {
  PathText part;
  const std::size_t size = std::strlen(path);
  if (size >= part.size()) return ENAMETOOLONG;
  std::memcpy(part.data(), path, size + 1);
  std::size_t end = size;
  while (end > 1 && part[end - 1] == '/') --end;  // the last component is not one of its parents
  while (end > 0 && part[end - 1] != '/') --end;
  for (std::size_t i = 1; i < end; ++i) {
    if (part[i] != '/') continue;
    part[i] = '\0';
    if (::mkdir(part.data(), 0755) < 0 && errno != EEXIST) {
      struct stat status {};  // the kernel asks for rights before it looks
      const int error = errno;
      if (::stat(part.data(), &status) < 0) return error;
    }
    part[i] = '/';
  }
  return 0;
}

Place find_place(const char* path, bool make_parents) { return open_place(path, make_parents); }

Place find_existing(const char* path) {
  const Place place = open_place(path, false);
  if (!place.exists) answer::failed(path, ENOENT);
  return place;
}

Place find_target(const char* path, bool make_parents) {
  static PathText current;
  std::strncpy(current.data(), path, current.size() - 1);
  for (int links = 0; links <= kMaxLinks; ++links) {
    const Place place = open_place(current.data(), make_parents);
    if (!place.exists || !S_ISLNK(place.status.st_mode)) return place;
    PathText target;
    const ssize_t size = ::readlinkat(place.dir, place.name.data(), target.data(), target.size() - 1);
    if (size <= 0) answer::failed(path, size < 0 ? errno : ENOENT);
    std::size_t keep = 0;
    if (target[0] != '/') {  // relative to where the link is
      PathText parent;
      (void)split(current.data(), parent);
      keep = std::strlen(parent.data());
      std::memcpy(current.data(), parent.data(), keep);
      if (current[keep - 1] != '/' && keep < current.size() - 1) current[keep++] = '/';
    }
    if (keep + static_cast<std::size_t>(size) >= current.size()) answer::failed(path, ENAMETOOLONG);
    std::memcpy(current.data() + keep, target.data(), static_cast<std::size_t>(size));
    current[keep + static_cast<std::size_t>(size)] = '\0';
  }
  answer::failed(path, ELOOP);
}

bool is_self_or_parent(const Place& place) {
  const std::string_view name = place.name.data();
  return name == "." || name == "..";
}

int open_directory_or_fail(const char* path) {
  const int dir = ::open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
  if (dir < 0) answer::failed(path, errno);
  return dir;
}

mode_t parse_mode(const char* text) {
  char* end = nullptr;
  const unsigned long mode = std::strtoul(text, &end, 8);
  if (*text == '\0' || *end != '\0' || mode > 07777) answer::failed(text, EINVAL);
  return static_cast<mode_t>(mode);
}

}  // namespace lmsb::guest
