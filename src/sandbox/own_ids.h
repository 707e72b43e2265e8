#pragma once
// own_ids: the ids that a user of the machine has beside the own one (subuid(5), subgid(5)), laid out for the user
// namespace in which sandboxes are made without root (docs/adr/0050).
//
// Inside, the numbers are those that root's daemon has for the same things outside (id_ranges.h): 0 is the user, then
// come the range of images, the daemon's id and, where there are many, ranges for sandboxes. All else inside goes by
// the same constants. Ids that somebody else has too, an account or another user's line, are not taken: who shares an
// id with a sandbox could read what it writes.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/id_ranges.h"

namespace lmsb::sandbox {

struct IdExtent {
  std::uint32_t inside;
  std::uint32_t outside;
  std::uint32_t count;
  bool operator==(const IdExtent&) const = default;
};

struct OwnIds {
  std::vector<IdExtent> users;  // as newuidmap(1) takes them
  std::vector<IdExtent> groups;
  // Of the range of images. One less than kIdRange where the user's first span has no more: the daemon has the last.
  std::uint32_t per_sandbox = kIdRange;
  // Those from kFirstBase on, each a sandbox's own; 0: all sandboxes have the range of images.
  std::uint32_t ranges = 0;
};

// Fewer are none: a daemon keeps some sandboxes prepared, and each network takes a range, too.
constexpr std::uint32_t kLeastOwnRanges = 64;
constexpr std::uint32_t kMostOwnRanges = 256;  // the kernel takes 340 extents

struct IdUser {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

// The texts of /etc/passwd, group, subuid and subgid.
struct IdTexts {
  std::string passwd;
  std::string group;
  std::string subuid;
  std::string subgid;
};

// Pure. Errors: failed_precondition, with the lines that are missing.
Result<OwnIds> own_ids(const IdUser& user, const IdTexts& texts);

// `what` failed with `error`, which was to give `path` to one of a user's ids. Files belong to ids that the namespace
// has not (EPERM) where the user's lines are others than when they were made: the hint says what to do then.
Error not_given(int error, const std::string& what, const std::string& path);

// Of whoever runs this. Blocks.
Result<OwnIds> own_ids_of_this_user();

}  // namespace lmsb::sandbox
