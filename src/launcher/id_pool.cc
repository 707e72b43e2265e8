#include "launcher/id_pool.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace lmsb::launcher {

Result<UniqueFd> open_id_locks(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) < 0) return Error::from_errno(errno, "open " + path);
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 077U) != 0)
    return Error(ErrorCode::failed_precondition, path + " is not a file of root's alone")
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
    held_[index] = true;
    return base;
  }
  return std::nullopt;
}

void IdPool::release(std::uint32_t base) {
  resting_.push_back(base);
  if (resting_.size() <= kKeep) return;
  const std::uint32_t oldest = resting_.front();
  resting_.pop_front();
  held_[(oldest - kFirstBase) / kIdRange] = false;
  (void)set_lock(oldest, F_UNLCK);  // of a lock that is held: cannot fail, but for memory, and then it just stays ours
}

}  // namespace lmsb::launcher
