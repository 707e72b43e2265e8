#pragma once
// PrivateDirectory: the temporary directory of one private daemon, removed with it, and the removal of those whose
// owner was killed before it could do so.
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::cli {

// Owns the directory, and a lock on it that tells others that its owner lives. Not thread-safe.
class PrivateDirectory {
 public:
  PrivateDirectory() = default;
  // Makes one below /run, or /tmp where that is not writable, that only its owner lists and the daemon's own user may
  // pass through to the sockets inside.
  static Result<PrivateDirectory> create();
  // The same below `parent`; first removes what is left there of owners that are gone.
  static Result<PrivateDirectory> create_below(const std::string& parent);
  ~PrivateDirectory() { remove(); }
  PrivateDirectory(PrivateDirectory&& other) noexcept;
  PrivateDirectory& operator=(PrivateDirectory&& other) noexcept;
  PrivateDirectory(const PrivateDirectory&) = delete;
  PrivateDirectory& operator=(const PrivateDirectory&) = delete;

  // "" when there is none.
  const std::string& path() const { return path_; }
  // Removes it with all that is in it. What cannot be removed is left for the next create().
  void remove();

 private:
  std::string path_;
  UniqueFd lock_;
};

}  // namespace lmsb::cli
