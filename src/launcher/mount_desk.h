#pragma once
// MountDesk: where callers hand over directories for -v.
//
// The caller opens the directory itself, so it can only hand over what it can reach, and the kernel says who it is
// (SO_PEERCRED), so a daemon that has been taken over cannot claim another's rights. The answer is a token that the
// daemon may use once in a launch. A socket of its own, fixed-size messages, at most 64 tokens waiting, each for 60 s.
#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/mount_token.h"

namespace lmsb::launcher {

// A directory that was handed over, and by whom.
struct HandedMount {
  UniqueFd source;  // O_PATH
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

class MountDesk {
 public:
  // Listens at `path` (mode 0666: whoever may reach the run directory may ask).
  static Result<MountDesk> open(const std::string& path);
  int fd() const { return listener_.get(); }
  // Accepts one caller; returns its socket (owned by the desk) to wait on, or -1. At most 32 wait at once: the one
  // that has waited longest is dropped for a new one.
  int accept_one();
  // A caller's socket became readable: answers it and lets it go. Never blocks.
  void serve(int caller);
  // The mount behind a token, once.
  std::optional<HandedMount> take(const sandbox::MountToken& token);

 private:
  struct Waiting {
    sandbox::MountToken token;
    std::int64_t since_ms;
    HandedMount mount;
  };
  explicit MountDesk(UniqueFd listener) : listener_(std::move(listener)) {}
  UniqueFd listener_;
  std::deque<UniqueFd> callers_;
  std::deque<Waiting> waiting_;
};

}  // namespace lmsb::launcher
