#include "launcher/id_pool.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sstream>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "os/file_lock.h"
#include "os/files.h"

namespace lmsb::launcher {

Result<UniqueFd> open_id_locks(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) < 0) return Error::from_errno(errno, "open " + path);
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 077U) != 0)
    return Error(ErrorCode::failed_precondition, path + " is not a file of this user's alone")
        .with_hint("find out who made it, then remove it");
  return file;
}

IdPool::IdPool(std::vector<IdClaim> taken, UniqueFd locks, std::uint32_t first)
    : taken_(std::move(taken)), locks_(std::move(locks)), next_((first - kFirstBase) / kIdRange % kRanges) {
  held_.resize(kRanges);
}

bool IdPool::is_taken(std::uint32_t base) const {
  return std::any_of(taken_.begin(), taken_.end(), [base](const IdClaim& claim) { return claim.meets(base); });
}

// A lock belongs to the open file, which this pool alone has: what another pool holds is refused.
bool IdPool::set_lock(std::uint32_t base, int type) {
  struct flock lock {};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = SEEK_SET;
  lock.l_start = base / kIdRange;
  lock.l_len = 1;
  return ::fcntl(locks_.get(), F_OFD_SETLK, &lock) == 0;
}

std::optional<std::uint32_t> IdPool::lease() {
  if (resting_.size() > kRest) return take_rested();
  const auto fresh = take_fresh();
  return fresh ? fresh : take_rested();
}

std::optional<std::uint32_t> IdPool::take_rested() {
  if (resting_.empty()) return std::nullopt;
  const std::uint32_t base = resting_.front();
  resting_.pop_front();
  return base;
}

std::optional<std::uint32_t> IdPool::take_fresh() {
  for (std::size_t looked_at = 0; looked_at < kRanges; ++looked_at) {
    const std::size_t index = next_;
    const std::uint32_t base = kFirstBase + static_cast<std::uint32_t>(index) * kIdRange;
    next_ = (next_ + 1) % kRanges;
    if (held_[index] || is_taken(base) || !set_lock(base, F_WRLCK)) continue;
    if (stays(base)) {  // looked at under the lock: whoever had it has marked it before he let go
      (void)set_lock(base, F_UNLCK);
      continue;
    }
    held_[index] = true;
    return base;
  }
  return std::nullopt;
}

namespace {

// Who has a range that stays: a process of a boot, which is gone when another one has its number.
struct Mark {
  std::int64_t pid = 0;
  std::uint64_t start_time = 0;
  std::array<char, 16> boot{};
  bool operator==(const Mark&) const = default;
};

// As proc(5) counts it; 0: there is no such process.
std::uint64_t start_time_of(std::int64_t pid) {
  const std::string stat = os::read_text("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 2));
  constexpr int kStartTime = 22 - 3;  // the first field behind the name is the third
  std::string field;
  for (int i = 0; i <= kStartTime; ++i) fields >> field;
  return std::strtoull(field.c_str(), nullptr, 10);
}

Mark mark_of(std::int64_t pid) {
  Mark mark{pid, start_time_of(pid), {}};
  static const std::string boot = os::read_text("/proc/sys/kernel/random/boot_id");
  (void)boot.copy(mark.boot.data(), mark.boot.size());
  return mark;
}

off_t place_of(std::uint32_t base) { return static_cast<off_t>(base / kIdRange * sizeof(Mark)); }

}  // namespace

bool IdPool::stays(std::uint32_t base) const {
  Mark mark;
  if (::pread(locks_.get(), &mark, sizeof mark, place_of(base)) != static_cast<ssize_t>(sizeof mark)) return false;
  return mark.pid > 0 && mark.start_time > 0 && mark == mark_of(mark.pid);
}

Status IdPool::let_stay(std::uint32_t base, pid_t guest) {
  const Mark mark = mark_of(guest);
  if (::pwrite(locks_.get(), &mark, sizeof mark, place_of(base)) == static_cast<ssize_t>(sizeof mark)) return {};
  return Error::from_errno(errno, "mark the ids of a sandbox that stays");
}

void IdPool::unmark(std::uint32_t base) {
  if (!stays(base)) return;
  const Mark none;
  (void)!::pwrite(locks_.get(), &none, sizeof none,
                  place_of(base));  // an old mark means nothing once its guest is gone
}

bool IdPool::take_up(std::uint32_t base) {
  const std::size_t index = (base - kFirstBase) / kIdRange;
  if (base < kFirstBase || base > kLastBase || held_[index]) return false;
  // Whoever looks at it just now finds the mark and lets go; a child of a launcher that was killed closes it in a
  // moment.
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kTurn{1};
  for (;;) {
    held_[index] = set_lock(base, F_WRLCK);
    if (held_[index]) break;
    if (!take_ups_end_) take_ups_end_ = Clock::now() + os::kLockPatience;
    if (Clock::now() >= *take_ups_end_) break;
    std::this_thread::sleep_for(kTurn);
  }
  return held_[index];
}

void IdPool::release(std::uint32_t base) {
  unmark(base);
  resting_.push_back(base);
  if (resting_.size() <= kKeep) return;
  const std::uint32_t oldest = resting_.front();
  resting_.pop_front();
  held_[(oldest - kFirstBase) / kIdRange] = false;
  (void)set_lock(oldest, F_UNLCK);  // of a lock that is held: cannot fail, but for memory, and then it just stays ours
}

}  // namespace lmsb::launcher
