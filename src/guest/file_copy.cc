#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/copy_content.h"
#include "guest/file_answer.h"
#include "guest/file_owner.h"
#include "guest/file_places.h"
#include "guest/file_program.h"
#include "guest/file_tree.h"
#include "guest_protocol/file_records.h"
#include "os/atomic_file.h"
#include "os/name_list.h"

namespace lmsb::guest {
namespace {

constexpr unsigned kNoReplace = 1;  // RENAME_NOREPLACE

using Existing = os::AtomicFile::Existing;

class Copier {
 public:
  Copier(std::string_view path, bool overwrite, Copying how, TreeProblem& problem)
      : path_(path), existing_(overwrite ? Existing::replaced : Existing::kept), how_(how), problem_(problem) {}

  // False after a failure.
  bool copy(int from, const char* name, int to, const char* to_name) {
    struct stat status {};
    if (::fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT || fail(errno);
    switch (status.st_mode & S_IFMT) {
      case S_IFREG: return copy_file(from, name, to, to_name);
      case S_IFDIR: return copy_directory(from, name, to, to_name, status);
      case S_IFLNK: return copy_link(from, name, to, to_name);
      case S_IFIFO: return copy_fifo(to, to_name, status.st_mode & 0777U);
      default: answer::skipped(path_.text(), ENOTSUP); return true;
    }
  }

  CopyCounts counts;

 private:
  bool fail(int error) {
    problem_.note(path_.text(), error);
    return false;
  }

  bool copy_file(int from, const char* name, int to, const char* to_name) {
    const UniqueFd source(::openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat status {};
    if (!source || ::fstat(source.get(), &status) < 0) return fail(errno);
    if (!S_ISREG(status.st_mode)) return fail(ESTALE);  // it has just been replaced
    os::AtomicFile file(to);
    int error = file.open(status.st_mode & 0777U);
    if (error == 0) error = copy_content(source.get(), file.fd(), counts.bytes);
    if (error == 0) keep_owner_of(status, file.fd());
    const std::array<timespec, 2> times = {status.st_atim, status.st_mtim};
    (void)::futimens(file.fd(), times.data());
    if (error == 0) error = file.commit(to_name, existing_);
    ++counts.files;
    return error == 0 || fail(error);
  }

  // What is moved stays whose it is, where it may.
  void keep_owner_of(const struct stat& status, int copied) const {
    if (how_ == Copying::for_move) keep_owner(copied, status);
  }

  bool copy_link(int from, const char* name, int to, const char* to_name) {
    std::array<char, guest_protocol::kMaxFilePath + 1> target;  // NOLINT: written by the kernel
    const ssize_t size = ::readlinkat(from, name, target.data(), target.size() - 1);
    if (size < 0) return fail(errno);
    target[static_cast<std::size_t>(size)] = '\0';
    ++counts.files;
    return place([&] { return ::symlinkat(target.data(), to, to_name); }, to, to_name);
  }

  bool copy_fifo(int to, const char* to_name, mode_t mode) {
    ++counts.files;
    return place([&] { return ::mkfifoat(to, to_name, mode); }, to, to_name);
  }

  // Makes something that cannot replace what is there.
  template <class Make>
  bool place(Make make, int to, const char* to_name) {
    if (make() == 0) return true;
    if (errno != EEXIST || existing_ == Existing::kept) return fail(errno);
    if (::unlinkat(to, to_name, 0) < 0) return fail(errno);
    return make() == 0 || fail(errno);
  }

  bool copy_directory(int from, const char* name, int to, const char* to_name, const struct stat& status) {
    const int opened = os::open_directory(from, name);
    if (opened < 0) return fail(-opened);
    const UniqueFd source(opened);
    // The names are read before the copy is made: it may lie in the directory that is copied.
    os::NameList names;
    if (const int error = names.load(opened); error != 0) return fail(error);
    const bool is_made = ::mkdirat(to, to_name, 0700) == 0;
    if (!is_made && (errno != EEXIST || existing_ == Existing::kept)) return fail(errno);
    const int target = os::open_directory(to, to_name);
    if (target < 0) return fail(-target);
    const UniqueFd copied(target);
    if (!is_outside_copy(status, target)) return fail(EINVAL);
    ++counts.files;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::size_t before = path_.size();
      if (!path_.push(names[i])) return fail(ENAMETOOLONG);
      const bool went_well = copy(opened, names[i], target, names[i]);
      path_.cut(before);
      if (!went_well) return false;
    }
    if (is_made) {
      keep_owner_of(status, target);
      (void)::fchmod(target, status.st_mode & 0777U);
      const std::array<timespec, 2> times = {status.st_atim, status.st_mtim};
      (void)::futimens(target, times.data());
    }
    return true;
  }

  // Remembers the first copied directory; false when a directory to be copied is that one.
  bool is_outside_copy(const struct stat& source, int target) {
    struct stat copied {};
    if (!has_top_ && ::fstat(target, &copied) == 0) {
      top_ = copied;
      has_top_ = true;
    }
    return source.st_ino != top_.st_ino || source.st_dev != top_.st_dev;
  }

  os::PathBuffer path_;
  Existing existing_;
  Copying how_;
  TreeProblem& problem_;
  bool has_top_ = false;
  struct stat top_ {};
};

[[noreturn]] void show_and_end(const char* path, const Place& place, const CopyCounts& counts) {
  struct stat status {};
  if (::fstatat(place.dir, place.name.data(), &status, AT_SYMLINK_NOFOLLOW) < 0) answer::failed(path, errno);
  answer::entry_at(place.dir, place.name.data(), path, status);
  answer::done(counts.files, counts.bytes);
}

// Whether `dir` is the directory `top`, or lies in it. What is renamed meanwhile is found by the copier itself.
bool is_inside(int dir, const struct stat& top) {
  UniqueFd here(::openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  struct stat below {};
  while (here && ::fstat(here.get(), &status) == 0) {
    if (status.st_ino == top.st_ino && status.st_dev == top.st_dev) return true;
    if (status.st_ino == below.st_ino && status.st_dev == below.st_dev) return false;  // the root is its own parent
    below = status;
    here.reset(::openat(here.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  return false;
}

struct Journey {
  Place from;
  Place to;
  bool overwrite;
};

Journey find_journey(char* const* args) {
  const Owner nobody;
  Journey journey{find_existing(args[0]), find_place(args[1], &nobody), *args[2] == '1'};
  if (is_self_or_parent(journey.from)) answer::failed(args[0], EBUSY);
  if (is_self_or_parent(journey.to)) answer::failed(args[1], EBUSY);
  if (journey.to.exists && !journey.overwrite) answer::failed(args[1], EEXIST);
  const struct stat& a = journey.from.status;
  const struct stat& b = journey.to.status;
  if (journey.to.exists && a.st_ino == b.st_ino && a.st_dev == b.st_dev) answer::failed(args[1], EINVAL);
  if (S_ISDIR(a.st_mode) && is_inside(journey.to.dir, a)) answer::failed(args[1], EINVAL);
  return journey;
}

int rename_new(const Journey& journey, const char* from) {
  const Place& to = journey.to;
  return ::syscall(SYS_renameat2, to.dir, from, to.dir, to.name.data(), kNoReplace) < 0 ? errno : 0;
}

// A directory that is not there yet appears whole, or not at all. What is merged into one may be there in part.
CopyCounts copy_or_fail(const Journey& journey, char* const* args, Copying how) {
  static TreeProblem problem;
  const bool is_directory = S_ISDIR(journey.from.status.st_mode);
  const bool is_staged = is_directory && !journey.to.exists;
  std::array<char, 32> staged{};
  os::make_hidden_name(staged);
  const TreeEnd to{journey.to.dir, is_staged ? staged.data() : journey.to.name.data()};
  const CopyCounts counts =
      copy_tree({journey.from.dir, journey.from.name.data()}, to, args[0], journey.overwrite, how, problem);
  // What a copy leaves out would be lost with the removal: the source stays, and there is no copy.
  if (how == Copying::for_move && problem.error == 0 && answer::skipped_so_far() > 0) problem.note(args[0], ENOTSUP);
  if (problem.error == 0 && is_staged) problem.note(args[1], rename_new(journey, staged.data()));
  if (problem.error == 0) return counts;
  static TreeProblem left;
  if (is_staged) (void)remove_tree(to.dir, to.name, args[1], left, Rights::taken);
  const bool is_part_left = is_staged ? left.error != 0 : is_directory;
  answer::failed(problem.path.text(), problem.error | (is_part_left ? guest_protocol::kPartLeft : 0));
}

}  // namespace

CopyCounts copy_tree(TreeEnd from, TreeEnd to, std::string_view path, bool overwrite, Copying how,
                     TreeProblem& problem) {
  Copier copier(path, overwrite, how, problem);
  (void)copier.copy(from.dir, from.name, to.dir, to.name);
  return copier.counts;
}

void file_copy(char* const* args) {
  const Journey journey = find_journey(args);
  const CopyCounts counts = copy_or_fail(journey, args, Copying::plain);
  show_and_end(args[1], journey.to, counts);
}

// Where the kernel cannot rename (another file system, a directory of the image) it is a copy, and then a removal.
void file_move(char* const* args) {
  const Journey journey = find_journey(args);
  const unsigned flags = journey.overwrite ? 0 : kNoReplace;
  if (::syscall(SYS_renameat2, journey.from.dir, journey.from.name.data(), journey.to.dir, journey.to.name.data(),
                flags) == 0)
    show_and_end(args[1], journey.to, {1, 0});
  if (errno != EXDEV) answer::failed(errno == ENOENT ? args[0] : args[1], errno);
  const CopyCounts counts = copy_or_fail(journey, args, Copying::for_move);
  static TreeProblem problem;
  (void)remove_tree(journey.from.dir, journey.from.name.data(), args[0], problem);
  if (problem.error != 0) answer::failed(problem.path.text(), problem.error | guest_protocol::kPartLeft);
  show_and_end(args[1], journey.to, counts);
}

}  // namespace lmsb::guest
