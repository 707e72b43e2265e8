#pragma once
// id_ranges: which user and group ids of the machine are ours, and whether somebody else has them.
//
// Ranges of 65536 ids, multiples of 65536 in systemd's container range (524288..1879048191), all from kImageRangeBase
// on: above what useradd gives to users (SUB_UID_MAX, 600100000) and what LXD and Incus take (up to 1001000000). The
// first owns the files of stored images, the second holds the daemon's id where the user lm-sandbox does not exist,
// every further one is leased to a sandbox at a time (launcher/id_pool.h). docs/adr/0015 says why these.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "guest_protocol/profile.h"

namespace lmsb::sandbox {

constexpr std::uint32_t kIdRange = guest_protocol::kIdRangeSize;
constexpr std::uint32_t kImageRangeBase = 1073741824;  // 0x40000000
constexpr std::uint32_t kDaemonId = kImageRangeBase + kIdRange;
constexpr std::uint32_t kFirstBase = kImageRangeBase + 2 * kIdRange;
constexpr std::uint32_t kLastBase = 1878982656;  // the last range of systemd's container range

// Ids that somebody has.
struct IdClaim {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::string where;  // for a person: "/etc/subuid:3: bob:100000:65536"

  bool meets(std::uint32_t base) const { return first < std::uint64_t{base} + kIdRange && base < first + count; }
};

// The claims in a file's text: one id a line in passwd and group ("name:x:ID:..."), a span a line in subuid and subgid
// ("name:FIRST:COUNT"). Other lines are passed over.
enum class IdFile : std::uint8_t { accounts, subordinate };
std::vector<IdClaim> parse_id_claims(const std::string& path, std::string_view text, IdFile kind);

// Those of /etc/passwd, group, subuid and subgid. Blocks.
std::vector<IdClaim> read_id_claims();

// An error that names the claim when somebody has ids of the range at `base`; `whose` says what it is for.
Status require_unclaimed(const std::vector<IdClaim>& claims, std::uint32_t base, const std::string& whose);

}  // namespace lmsb::sandbox
