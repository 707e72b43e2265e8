// mkdir, chmod.
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/file_answer.h"
#include "guest/file_places.h"
#include "guest/file_program.h"
#include "guest/file_tree.h"

namespace lmsb::guest {
namespace {

// Of whatever `name` in `dir` is but a link, without opening it for good. Returns 0 or an errno.
int change_mode(int dir, const char* name, mode_t mode) {
  const UniqueFd file(::openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0) return errno;
  if (S_ISLNK(status.st_mode)) return 0;
  std::array<char, 32> self{};
  std::snprintf(self.data(), self.size(), "/proc/self/fd/%d", file.get());
  return ::chmod(self.data(), mode) < 0 ? errno : 0;
}

class ModeChanger final : public os::TreeWalk {
 public:
  ModeChanger(std::string_view path, mode_t mode, TreeProblem& problem)
      : TreeWalk(path), mode_(mode), problem_(problem) {}
  std::uint64_t changed = 0;

 private:
  // A directory is changed before it is entered: what could not be read may be readable then.
  Next visit(const Found& found) override {
    if (S_ISLNK(found.status.st_mode)) return Next::go_on;
    if (const int error = change_mode(found.dir, found.name, mode_); error != 0) return problem(found.path, error);
    ++changed;
    return Next::go_on;
  }
  Next problem(std::string_view path, int error) override {
    if (error != ENOENT) problem_.note(path, error);
    return Next::go_on;
  }

  mode_t mode_;
  TreeProblem& problem_;
};

}  // namespace

void file_make_directory(char* const* args) {
  const char* const path = args[0];
  const mode_t mode = parse_mode(args[1]);
  const bool parents = *args[2] == '1';
  const Place place = find_place(path, parents);
  struct stat target {};
  const bool is_there = place.exists && ::stat(path, &target) == 0 && S_ISDIR(target.st_mode);
  if (place.exists && !(is_there && parents)) answer::failed(path, EEXIST);
  if (!place.exists && ::mkdirat(place.dir, place.name.data(), mode) < 0 && !(errno == EEXIST && parents))
    answer::failed(path, errno);
  struct stat status {};
  if (::fstatat(place.dir, place.name.data(), &status, AT_SYMLINK_NOFOLLOW) < 0) answer::failed(path, errno);
  answer::entry_at(place.dir, place.name.data(), path, status);
  answer::done(place.exists ? 0 : 1);
}

void file_chmod(char* const* args) {
  const char* const path = args[0];
  const mode_t mode = parse_mode(args[1]);
  const bool recursive = *args[2] == '1';
  const Place place = find_target(path);
  if (!place.exists) answer::failed(path, ENOENT);
  if (const int error = change_mode(place.dir, place.name.data(), mode); error != 0) answer::failed(path, error);
  if (!recursive || !S_ISDIR(place.status.st_mode)) answer::done(1);
  static TreeProblem problem;
  ModeChanger changer(path, mode, problem);
  const int dir = os::open_directory(place.dir, place.name.data());
  if (dir < 0) answer::failed(path, -dir);
  if (const int error = changer.walk(dir); error != 0) answer::failed(path, error);
  if (problem.error != 0) answer::failed(problem.path.text(), problem.error);
  answer::done(changer.changed + 1);
}

}  // namespace lmsb::guest
