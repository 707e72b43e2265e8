#pragma once
// TarWorker: a thread that makes a tar archive of a directory of this machine, takes one apart into it, or passes one
// on under other names, while somebody else reads or writes the archive through fd(). Constant memory.
#include <cstdint>
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
  // Writes what comes to `out`, which outlives it, with all of it below a directory of that name and mode.
  static Result<TarWorker> pass_on(int out, const std::string& name, std::uint32_t mode);
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
  // How many files, directories and links there were, and the octets of the files. After finish().
  std::uint64_t members() const { return shared_->members; }
  std::uint64_t bytes() const { return shared_->bytes; }

 private:
  struct Shared {
    UniqueFd theirs;
    UniqueFd directory;
    mode_t mask = 0;   // of permissions that what is unpacked does not get
    int out = -1;      // where it is passed on to
    std::string name;  // the directory that is put around it then
    std::uint32_t mode = 0;
    std::vector<std::string> left_out;
    std::uint64_t members = 0;
    std::uint64_t bytes = 0;
    Status outcome;
  };
  static Result<TarWorker> begin(std::unique_ptr<Shared> shared, void (*work)(Shared&), int how_to_end);
  TarWorker() = default;
  static void pack_now(Shared& shared);
  static void unpack_now(Shared& shared);
  static void pass_on_now(Shared& shared);

  UniqueFd ours_;
  std::unique_ptr<Shared> shared_;  // the thread's until it has been joined
  std::thread thread_;
  int how_to_end_ = 0;  // a direction of shutdown(2)
};

}  // namespace lmsb::cli
