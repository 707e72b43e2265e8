#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/file_answer.h"
#include "guest/file_condition.h"
#include "guest/file_places.h"
#include "guest/file_program.h"
#include "guest/file_tree.h"

namespace lmsb::guest {
namespace {

constexpr std::size_t kMaxOpen = 256;  // directories in one another; what is deeper is first moved up
constexpr int kMaxPasses = 1000;       // over one directory into which others keep writing

// struct linux_dirent64 of the kernel.
constexpr long kLengthAt = 16;
constexpr long kNameAt = 19;

class Remover {
 public:
  Remover(std::string_view path, TreeProblem& problem, Rights rights)
      : path_(path), problem_(problem), rights_(rights) {}

  // What `name` in `dir` names, whatever that is by now.
  void remove(int dir, const char* name, std::size_t depth) {
    for (int attempt = 0; attempt < kMaxPasses; ++attempt) {
      if (::unlinkat(dir, name, 0) == 0) return count();
      if (errno == ENOENT) return;
      if (errno != EISDIR) return problem_.note(path_.text(), errno);
      if (remove_directory(dir, name, depth)) return;
    }
    problem_.note(path_.text(), ENOTEMPTY);
  }

  std::uint64_t removed() const { return removed_; }

 private:
  void count() { ++removed_; }

  // False: look again, something has changed.
  bool remove_directory(int dir, const char* name, std::size_t depth) {
    if (::unlinkat(dir, name, AT_REMOVEDIR) == 0) return count(), true;
    if (errno == ENOENT) return true;
    if (errno == ENOTDIR) return false;
    if (errno != ENOTEMPTY && errno != EEXIST) return problem_.note(path_.text(), errno), true;
    if (depth >= kMaxOpen) return move_up(dir, name);
    const int opened = os::open_directory(dir, name);
    if (opened == -ENOENT) return true;
    if (opened == -ENOTDIR || opened == -ELOOP) return false;
    if (opened < 0) return problem_.note(path_.text(), -opened), true;
    const UniqueFd child(opened);
    if (rights_ == Rights::taken) (void)::fchmod(opened, 0700);
    if (depth == 0) top_ = opened;
    const std::uint64_t before = removed_ + moved_;
    empty(opened, depth);
    // Nothing could be done about what is in it: so nothing can be about itself.
    return problem_.error != 0 && removed_ + moved_ == before;
  }

  // One pass over what is in a directory.
  void empty(int dir, std::size_t depth) {
    alignas(8) std::array<char, 8192> entries;  // NOLINT: written by the kernel
    for (;;) {
      const long got = ::syscall(SYS_getdents64, dir, entries.data(), entries.size());
      if (got < 0) return problem_.note(path_.text(), errno);
      if (got == 0) return;
      for (long at = 0; at < got;) {
        std::uint16_t length = 0;
        std::memcpy(&length, entries.data() + at + kLengthAt, sizeof length);
        const char* const name = entries.data() + at + kNameAt;
        at += length;
        if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
        const std::size_t before = path_.size();
        (void)path_.push(name);  // for messages: of a longer path the beginning will do
        remove(dir, name, depth + 1);
        path_.cut(before);
      }
    }
  }

  // A directory that lies too deep goes into the top one, where a later pass finds it.
  bool move_up(int dir, const char* name) {
    std::array<char, 48> fresh{};
    std::snprintf(fresh.data(), fresh.size(), ".lmsb-deep-%d-%llu", ::getpid(),
                  static_cast<unsigned long long>(++moved_));
    if (::renameat(dir, name, top_, fresh.data()) == 0 || errno == ENOENT) return true;
    return problem_.note(path_.text(), errno), true;
  }

  int top_ = -1;  // the directory that is removed, while it is open
  os::PathBuffer path_;
  TreeProblem& problem_;
  Rights rights_;
  std::uint64_t removed_ = 0;
  std::uint64_t moved_ = 0;
};

}  // namespace

std::uint64_t remove_tree(int dir, const char* name, std::string_view path, TreeProblem& problem, Rights rights) {
  Remover remover(path, problem, rights);
  remover.remove(dir, name, 0);
  return remover.removed();
}

void file_remove(char* const* args) {
  const char* const path = args[0];
  const bool recursive = *args[1] == '1';
  Place place = find_existing(path);
  if (is_self_or_parent(place)) answer::failed(path, EBUSY);
  if (const int error = Condition(args[2]).hold(place); error != 0) answer::failed(path, error);
  if (!recursive) {
    const int flags = S_ISDIR(place.status.st_mode) ? AT_REMOVEDIR : 0;
    if (::unlinkat(place.dir, place.name.data(), flags) < 0) answer::failed(path, errno);
    answer::done(1);
  }
  static TreeProblem problem;
  const std::uint64_t removed = remove_tree(place.dir, place.name.data(), path, problem);
  if (problem.error != 0)
    answer::failed(problem.path.text(), problem.error | (removed > 0 ? guest_protocol::kPartLeft : 0));
  answer::done(removed);
}

}  // namespace lmsb::guest
