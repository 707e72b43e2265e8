#pragma once
// Copying and removing trees by descriptors, never following a symbolic link: what others rename meanwhile can make an
// operation fail, not lead it elsewhere. What goes wrong is kept in a TreeProblem: the first of it.
#include <cstdint>
#include <string_view>

#include "os/tree_walk.h"

namespace lmsb::guest {

struct TreeProblem {
  int error = 0;
  os::PathBuffer path;

  void note(std::string_view at, int why) {
    if (error != 0 || why == 0) return;
    error = why;
    path.cut(0);
    (void)path.push(at);
  }
};

// Removes `name` in `dir` and everything below it; goes on after a failure, so that the rest is gone. Returns how many
// files and directories were removed. Trees of any depth. Rights::taken: it is ours, so its directories are made
// writable on the way.
enum class Rights : std::uint8_t { as_they_are, taken };
std::uint64_t remove_tree(int dir, const char* name, std::string_view path, TreeProblem& problem,
                          Rights rights = Rights::as_they_are);

// Copies what `from` names to what `to` names, with permissions and times. Each file appears whole. What is there is
// replaced when `overwrite` says so; directories are then merged. Devices and sockets are told as skipped. Stops at the
// first failure. Copying::for_move: with owners, too, where that may be.
enum class Copying : std::uint8_t { plain, for_move };
struct CopyCounts {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};
struct TreeEnd {
  int dir;
  const char* name;  // in it
};
// `path` is that of `from`, for messages.
CopyCounts copy_tree(TreeEnd from, TreeEnd to, std::string_view path, bool overwrite, Copying how,
                     TreeProblem& problem);

}  // namespace lmsb::guest
