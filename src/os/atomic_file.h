#pragma once
// AtomicFile: a file that appears in its directory whole, or not at all. No exceptions, no iostreams: the guest is
// linked with it. One thread; blocks.
#include <array>
#include <string_view>
#include <sys/types.h>

#include "base/unique_fd.h"

namespace lmsb::os {

class AtomicFile {
 public:
  enum class Existing { replaced, kept /* EEXIST */ };

  // `dir` outlives it.
  explicit AtomicFile(int dir) : dir_(dir) {}
  // What was not committed is gone; also when the process is killed, where the file system has O_TMPFILE.
  ~AtomicFile() { discard(); }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Each returns 0 or an errno. Written to through fd().
  int open(mode_t mode);
  int fd() const { return fd_.get(); }
  // Gives it its name in the directory. Replaces what is no directory; a symbolic link itself, not what it leads to.
  int commit(const char* name, Existing existing);
  // As the destructor does: for programs that end without one.
  void discard();

 private:
  int link_to(const char* name);

  int dir_;
  UniqueFd fd_;
  bool is_named_ = false;
  std::array<char, 32> name_{};
};

// The permissions that new files of this process do not get. Linux tells by setting it: while there is one thread.
mode_t file_mode_mask();

// ".lmsb-" and 16 digits of chance, for what is to have another name once it is whole.
void make_hidden_name(std::array<char, 32>& name);
// Whether a name may be one of those, or what a removal makes of a tree that is too deep (guest/file_remove.cc).
bool is_hidden_name(std::string_view name);

// Writes all. Returns 0 or an errno.
int write_exactly(int fd, const void* data, std::size_t size);

}  // namespace lmsb::os
