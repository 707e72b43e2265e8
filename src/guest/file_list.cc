// list, glob: what is in directories.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "guest/file_answer.h"
#include "guest/file_places.h"
#include "guest/file_program.h"
#include "guest/glob.h"
#include "os/tree_walk.h"

namespace lmsb::guest {
namespace {

// Entries up to a limit; one more shows that there are more.
class Lister : public os::TreeWalk {
 public:
  Lister(std::string_view root, std::size_t max_depth, std::uint64_t limit)
      : TreeWalk(root, max_depth), root_(root), limit_(limit) {}

  [[noreturn]] void run(std::string_view after) {
    const int dir = open_directory_or_fail(root_.data());
    if (const int error = walk(dir, after); error != 0) answer::failed(root_, error);
    if (has_more_) answer::done_up_to(answer::Extent::truncated, count_, relative(last_.text()));
    answer::done(count_);
  }

 protected:
  Next tell(const Found& found) {
    if (count_ == limit_ || answer::is_full()) {
      has_more_ = true;
      return Next::stop;
    }
    ++count_;
    answer::entry_at(found.dir, found.name, found.path, found.status);
    last_.cut(0);
    (void)last_.push(found.path);
    return Next::go_on;
  }
  Next problem(std::string_view path, int error) override {
    answer::skipped(path, error);
    return Next::go_on;
  }

 private:
  Next visit(const Found& found) override { return tell(found); }

  // What is told has the root in front.
  std::string_view relative(std::string_view path) const {
    path.remove_prefix(root_.size());
    while (path.starts_with('/')) path.remove_prefix(1);
    return path;
  }

  std::string_view root_;  // of argv: ends with a NUL
  std::uint64_t limit_;
  std::uint64_t count_ = 0;
  bool has_more_ = false;
  os::PathBuffer last_;
};

class GlobLister final : public Lister {
 public:
  GlobLister(std::string_view root, const Glob& glob, std::uint64_t limit)
      : Lister(root, os::PathBuffer::kMax, limit), glob_(glob) {
    states_[0] = glob.start();
  }

 private:
  Next visit(const Found& found) override {
    if (found.depth >= states_.size()) return Next::pass_over;
    const Glob::State state = glob_.next(states_[found.depth - 1], found.name);
    states_[found.depth] = state;
    if (glob_.matches(state) && tell(found) == Next::stop) return Next::stop;
    return glob_.goes_on(state) ? Next::go_on : Next::pass_over;
  }

  const Glob& glob_;
  std::array<Glob::State, os::PathBuffer::kMax / 2 + 2> states_{};  // by depth
};

}  // namespace

void file_list(char* const* args) {
  const std::uint64_t depth = std::strtoull(args[1], nullptr, 10);
  Lister lister(args[0], depth, std::strtoull(args[2], nullptr, 10));
  lister.run(args[3]);
}

void file_glob(char* const* args) {
  const Glob glob(args[1]);
  if (!glob.is_valid()) answer::failed(args[1], EINVAL);
  GlobLister lister(args[0], glob, std::strtoull(args[2], nullptr, 10));
  lister.run("");
}

}  // namespace lmsb::guest
