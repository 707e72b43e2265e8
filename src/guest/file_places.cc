#include "guest/file_places.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "base/unique_fd.h"
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

Place open_place(const char* path, const Owner* parents) {
  if (*path != '/' || std::strlen(path) > guest_protocol::kMaxFilePath) answer::failed(path, EINVAL);
  PathText parent;
  const std::string_view name = split(path, parent);
  Place place;
  if (name.size() >= place.name.size()) answer::failed(path, ENAMETOOLONG);
  std::memcpy(place.name.data(), name.data(), name.size());
  if (name.empty()) place.name[0] = '.';
  if (parents != nullptr) {
    if (const int error = make_parent_directories(path, *parents); error != 0) answer::failed(path, error);
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

// Opens `name` in `dir` in its place, and makes it when it is missing.
int enter_directory(UniqueFd& dir, const char* name, const Owner& owner) {
  UniqueFd next(::openat(dir.get(), name, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!next && errno == ENOENT) {
    const bool is_made = ::mkdirat(dir.get(), name, 0755) == 0;
    if (!is_made && errno != EEXIST) return errno;
    if (const int error = is_made ? give_at(dir.get(), name, owner) : 0; error != 0) return error;
    next.reset(::openat(dir.get(), name, O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  if (!next) return errno;
  dir = std::move(next);
  return 0;
}

}  // namespace

int make_parent_directories(const char* path, const Owner& owner) {
  PathText part;
  const std::size_t size = std::strlen(path);
  if (size >= part.size()) return ENAMETOOLONG;
  (void)split({path, size}, part);
  UniqueFd dir(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (char* name = part.data(); dir && *name != '\0';) {
    const std::size_t length = std::strcspn(name, "/");
    char* const next = name + length + (name[length] == '/' ? 1 : 0);
    name[length] = '\0';
    if (length > 0) {
      const int error = enter_directory(dir, name, owner);
      if (error != 0) return error;
    }
    name = next;
  }
  return dir ? 0 : errno;
}

Place find_place(const char* path, const Owner* parents) { return open_place(path, parents); }

Place find_existing(const char* path) {
  const Place place = open_place(path, nullptr);
  if (!place.exists) answer::failed(path, ENOENT);
  return place;
}

Place find_target(const char* path, const Owner* parents) {
  static PathText current;
  std::strncpy(current.data(), path, current.size() - 1);
  for (int links = 0; links <= kMaxLinks; ++links) {
    const Place place = open_place(current.data(), parents);
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
