#pragma once
// IdPool: leases ranges of 65536 user ids, one for each sandbox, so that no two sandboxes share an owner of anything.
//
// Several daemons of one machine share the ranges by a file of locks: a byte for each range, locked by the pool that
// has it. The kernel lets go of the locks when the launcher dies, however it dies; a range whose sandbox stays is
// marked in the file itself with its guest, and nobody leases it while that lives. A released range stays with its pool
// and rests behind at least `kRest` others before it is leased again, so that whatever the kernel still frees of its
// last sandbox is gone; more than `kKeep` are given back to the others. Not thread-safe. Blocks at take_up() alone, for
// three seconds altogether at most.
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/id_ranges.h"

namespace lmsb::launcher {

using sandbox::IdClaim;
using sandbox::kDaemonId;
using sandbox::kFirstBase;
using sandbox::kIdRange;
using sandbox::kImageRangeBase;
using sandbox::kLastBase;

// Where the daemons of a machine keep their locks: of root, in a directory that root alone writes to.
constexpr const char* kIdLocks = "/run/lm-sandbox.ids";

// Opens the file of locks, making it when it is missing. An error when others than this user could have it.
Result<UniqueFd> open_id_locks(const std::string& path);

class IdPool {
 public:
  // `taken`: ranges that meet them are never leased. `first` is where the pool begins to look: pools that begin in
  // different places hardly ever meet. `locks` is owned by the pool.
  IdPool(std::vector<IdClaim> taken, UniqueFd locks, std::uint32_t first = kFirstBase);

  // The base of a range that nobody has; nothing when all are leased or resting.
  std::optional<std::uint32_t> lease();
  void release(std::uint32_t base);
  // A leased one's sandbox outlives this pool, for as long as its guest lives.
  Status let_stay(std::uint32_t base, pid_t guest);
  // Takes a range that stayed when another pool ended. False: somebody has it.
  bool take_up(std::uint32_t base);

 private:
  static constexpr std::size_t kRest = 64;
  static constexpr std::size_t kKeep = 1024;
  static constexpr std::size_t kRanges = (kLastBase - kFirstBase) / kIdRange + 1;

  std::optional<std::uint32_t> take_fresh();
  std::optional<std::uint32_t> take_rested();
  bool is_taken(std::uint32_t base) const;
  bool set_lock(std::uint32_t base, int type);
  bool stays(std::uint32_t base) const;
  void unmark(std::uint32_t base);

  std::vector<IdClaim> taken_;
  UniqueFd locks_;
  std::optional<std::chrono::steady_clock::time_point> take_ups_end_;  // once one has had to wait
  std::size_t next_ = 0;                                               // index of the range to look at first
  std::vector<bool> held_;                                             // by index: leased or resting here
  std::deque<std::uint32_t> resting_;
};

}  // namespace lmsb::launcher
