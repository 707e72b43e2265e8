#pragma once
// IdPool: leases ranges of 65536 user ids, one for each sandbox, so that no two sandboxes share an owner of anything.
//
// Ranges are multiples of 65536 in systemd's container range, 524288..1879048191; the first is the image range. A
// released range rests behind at least `kRest` others before it is leased again, so that whatever the kernel still
// frees of its last sandbox is gone. Not thread-safe.
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace lmsb::launcher {

constexpr std::uint32_t kIdRange = 65536;
constexpr std::uint32_t kImageRangeBase = 524288;                // owns the files of stored images
constexpr std::uint32_t kDaemonId = kImageRangeBase + kIdRange;  // first id of the second range: the daemon's, when
                                                                 // the user lm-sandbox does not exist
constexpr std::uint32_t kFirstBase = kImageRangeBase + 2 * kIdRange;
constexpr std::uint32_t kLastBase = 1878982656;

class IdPool {
 public:
  // `taken`: ids that others use (/etc/passwd, /etc/subuid): ranges that meet them are never leased.
  struct Span {
    std::uint64_t first;
    std::uint64_t count;
  };
  explicit IdPool(std::vector<Span> taken);

  // The base of a range that nobody has; nothing when all are leased or resting.
  std::optional<std::uint32_t> lease();
  void release(std::uint32_t base);

 private:
  static constexpr std::size_t kRest = 64;
  bool is_taken(std::uint32_t base) const;

  std::vector<Span> taken_;
  std::uint32_t next_fresh_ = kFirstBase;
  std::deque<std::uint32_t> resting_;
};

// Spans of the lines of /etc/passwd ("name:x:UID:...") and /etc/subuid ("name:FIRST:COUNT"); other lines are ignored.
std::vector<IdPool::Span> parse_passwd(const std::string& text);
std::vector<IdPool::Span> parse_subid(const std::string& text);

}  // namespace lmsb::launcher
