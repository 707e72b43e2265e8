#pragma once
// TarWorker: a thread that makes a tar archive of a directory of this machine, or takes one apart into it, while
// somebody else reads or writes the archive through fd(). Constant memory.
#include <memory>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::cli {

class TarWorker {
 public:
  // Begins at once. `directory` exists. Nothing of either side is followed out of it (os/archive_tree.h).
  static Result<TarWorker> pack(const std::string& directory);
  // `follow`: the directory may be a symbolic link to one.
  static Result<TarWorker> unpack(const std::string& directory, bool follow);
  TarWorker(TarWorker&&) noexcept = default;
  TarWorker& operator=(TarWorker&&) = delete;
  // Ends the work, whole or not.
  ~TarWorker();

  // The other end of the archive; owned by it.
  int fd() const { return ours_.get(); }
  // Says that no more comes, or is taken, and waits for the end of the work. Errors name the path that failed.
  Status finish();
  // What was left out (devices, sockets, FIFOs): one line for each, some hundred at most. After finish().
  const std::vector<std::string>& left_out() const { return shared_->left_out; }

 private:
  struct Shared {
    UniqueFd theirs;
    UniqueFd directory;
    mode_t mask = 0;  // of permissions that what is unpacked does not get
    std::vector<std::string> left_out;
    Status outcome;
  };
  static Result<TarWorker> begin(UniqueFd directory, void (*work)(Shared&), int how_to_end);
  TarWorker() = default;
  static void pack_now(Shared& shared);
  static void unpack_now(Shared& shared);

  UniqueFd ours_;
  std::unique_ptr<Shared> shared_;  // the thread's until it has been joined
  std::thread thread_;
  int how_to_end_ = 0;  // a direction of shutdown(2)
};

}  // namespace lmsb::cli
