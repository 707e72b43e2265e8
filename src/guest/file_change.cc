// mkdir, chmod.
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/file_answer.h"
#include "guest/file_owner.h"
#include "guest/file_places.h"
#include "guest/file_program.h"
#include "guest/file_tree.h"

namespace lmsb::guest {
namespace {

// What is changed of a file.
struct Change {
  std::optional<mode_t> mode;  // of a link nothing
  Owner owner;
};

// Of whatever `name` in `dir` is, without opening it for good. Returns 0 or an errno.
int change(int dir, const char* name, const Change& wanted) {
  const UniqueFd file(::openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0) return errno;
  if (const int error = give(file.get(), wanted.owner); error != 0) return error;
  if (!wanted.mode || S_ISLNK(status.st_mode)) return 0;
  std::array<char, 32> self{};
  std::snprintf(self.data(), self.size(), "/proc/self/fd/%d", file.get());
  return ::chmod(self.data(), *wanted.mode) < 0 ? errno : 0;
}

class Changer final : public os::TreeWalk {
 public:
  Changer(std::string_view path, const Change& wanted, TreeProblem& problem)
      : TreeWalk(path), wanted_(wanted), problem_(problem) {}
  std::uint64_t changed = 0;

 private:
  // A directory is changed before it is entered: what could not be read may be readable then.
  Next visit(const Found& found) override {
    if (S_ISLNK(found.status.st_mode) && !wanted_.owner.is_given) return Next::go_on;
    if (const int error = change(found.dir, found.name, wanted_); error != 0) return problem(found.path, error);
    ++changed;
    return Next::go_on;
  }
  Next problem(std::string_view path, int error) override {
    if (error != ENOENT) problem_.note(path, error);
    return Next::go_on;
  }

  Change wanted_;
  TreeProblem& problem_;
};

}  // namespace

void file_make_directory(char* const* args) {
  const char* const path = args[0];
  const mode_t mode = parse_mode(args[1]);
  const bool parents = *args[2] == '1';
  const Owner owner = parse_owner(args[3]);
  const Place place = find_place(path, parents ? &owner : nullptr);
  struct stat target {};
  const bool is_there = place.exists && ::stat(path, &target) == 0 && S_ISDIR(target.st_mode);
  if (place.exists && !(is_there && parents)) answer::failed(path, EEXIST);
  if (!place.exists && ::mkdirat(place.dir, place.name.data(), mode) < 0 && !(errno == EEXIST && parents))
    answer::failed(path, errno);
  if (const int error = place.exists ? 0 : give_at(place.dir, place.name.data(), owner); error != 0)
    answer::failed(path, error);
  struct stat status {};
  if (::fstatat(place.dir, place.name.data(), &status, AT_SYMLINK_NOFOLLOW) < 0) answer::failed(path, errno);
  answer::entry_at(place.dir, place.name.data(), path, status);
  answer::done(place.exists ? 0 : 1);
}

void file_chmod(char* const* args) {
  const char* const path = args[0];
  Change wanted{{}, parse_owner(args[3])};
  if (*args[1] != '-') wanted.mode = parse_mode(args[1]);
  const bool recursive = *args[2] == '1';
  const Place place = find_target(path);
  if (!place.exists) answer::failed(path, ENOENT);
  if (const int error = change(place.dir, place.name.data(), wanted); error != 0) answer::failed(path, error);
  if (!recursive || !S_ISDIR(place.status.st_mode)) answer::done(1);
  static TreeProblem problem;
  Changer changer(path, wanted, problem);
  const int dir = os::open_directory(place.dir, place.name.data());
  if (dir < 0) answer::failed(path, -dir);
  if (const int error = changer.walk(dir); error != 0) answer::failed(path, error);
  if (problem.error != 0) answer::failed(problem.path.text(), problem.error | guest_protocol::kPartLeft);
  answer::done(changer.changed + 1);
}

}  // namespace lmsb::guest
