#include "os/tree_walk.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>

#include "base/unique_fd.h"
#include "os/name_list.h"

namespace lmsb::os {

bool PathBuffer::append(std::string_view text) {
  if (size_ + text.size() > kMax) return false;
  if (!text.empty()) std::memcpy(octets_.data() + size_, text.data(), text.size());
  cut(size_ + text.size());
  return true;
}

bool PathBuffer::push(std::string_view name) {
  const std::size_t before = size_;
  const bool needs_slash = size_ > 0 && octets_[size_ - 1] != '/';
  if ((!needs_slash || append("/")) && append(name)) return true;
  cut(before);
  return false;
}

int open_directory(int dir, const char* name) {
  const int fd = ::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int TreeWalk::walk(int dir, std::string_view after) {
  int error = 0;
  (void)below(dir, 1, after, error);
  return error;
}

TreeWalk::Next TreeWalk::below(int dir, std::size_t depth, std::string_view after, int& error) {
  const std::string_view first = after.substr(0, after.find('/'));
  NameList names;
  error = names.load(dir, first);
  for (std::size_t i = 0; error == 0 && i < names.size(); ++i) {
    const bool is_new = first.empty() || names[i] != first;
    const std::size_t before = path_.size();
    if (!path_.push(names[i])) {
      if (problem(path_.text(), ENAMETOOLONG) == Next::stop) return Next::stop;
      continue;
    }
    const std::string_view rest = is_new ? std::string_view() : after.substr(std::min(first.size() + 1, after.size()));
    const Next next = one(dir, names[i], depth, rest, is_new);
    path_.cut(before);
    if (next == Next::stop) return Next::stop;
  }
  return Next::go_on;
}

TreeWalk::Next TreeWalk::one(int dir, const char* name, std::size_t depth, std::string_view after, bool is_new) {
  struct stat status {};
  if (::fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
    return errno == ENOENT ? Next::go_on : problem(path_.text(), errno);
  const Next next = is_new ? visit({dir, name, path_.text(), depth, status}) : Next::go_on;
  if (next != Next::go_on || !S_ISDIR(status.st_mode) || depth >= max_depth_) return next;
  const int opened = open_directory(dir, name);
  if (opened == -ENOENT || opened == -ENOTDIR || opened == -ELOOP) return Next::go_on;  // it has just been replaced
  if (opened < 0) return problem(path_.text(), -opened);
  const UniqueFd child(opened);
  int error = 0;
  const Next inside = below(child.get(), depth + 1, after, error);
  return error == 0 ? inside : problem(path_.text(), error);
}

}  // namespace lmsb::os
