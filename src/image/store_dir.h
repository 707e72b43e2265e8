#pragma once
// StoreDir: the images directory as root changes it: staging, atomic replacement, removal.
//
// Owns the open directory and the store's lock: one change at a time. It refuses a directory that anyone but root
// could write: root follows names in it. Blocking (a removal takes as long as the tree is large).
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::image {

class StoreDir {
 public:
  // Fails when it is missing, not root's alone, or being changed by another process.
  static Result<StoreDir> open(const std::string& path);
  // The same; makes the directory (and its parents) first when it is missing.
  static Result<StoreDir> create(const std::string& path);

  // Fails when the file system has less room than `bytes`.
  Status require_space(std::uint64_t bytes) const;

  // A fresh empty directory in here, whose name begins with a dot.
  Result<std::string> make_staging() const;

  // Makes the staging directory the image `name`, on the disk for good; an image of that name becomes a leftover.
  Status publish(const std::string& staging, const std::string& name) const;

  // Makes the image `name` a leftover. ENOENT when there is none.
  Status hide(const std::string& name) const;

  // Deletes every leftover (from removal, replacement, or a build that was killed), except images that are pinned:
  // they go with the next call.
  Status remove_leftovers() const;

  // A path to `name` that keeps meaning this very directory. Valid while this lives, in this process.
  std::string path_of(const std::string& name) const;

 private:
  explicit StoreDir(UniqueFd directory) : directory_(std::move(directory)) {}
  UniqueFd directory_;  // holds the lock, too
};

}  // namespace lmsb::image
