#include "sandbox/own_ids.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <pwd.h>
#include <unistd.h>

#include "os/files.h"

namespace lmsb::sandbox {
namespace {

constexpr std::uint32_t kFirstOfUsers = 100000;  // SUB_UID_MIN of login.defs(5)
constexpr std::uint32_t kFirstNoId = ~std::uint32_t{0};

// Users or groups: which files say what of them.
struct Kind {
  const char* name;  // "uids"
  const char* path;  // of the subordinate ones
  const std::string& text;
  const char* accounts_path;
  const std::string& accounts;
};

bool is_line_of(const IdUser& user, std::string_view line) {
  const std::string_view owner = line.substr(0, line.find(':'));
  return owner == user.name || owner == std::to_string(user.uid);
}

// Of a line: what stands behind the place in IdClaim::where.
bool is_claim_of(const IdUser& user, const IdClaim& claim) {
  const std::size_t space = claim.where.find(": ");
  return space != std::string::npos && is_line_of(user, std::string_view(claim.where).substr(space + 2));
}

bool overlap(const IdClaim& a, const IdClaim& b) { return a.first < b.first + b.count && b.first < a.first + a.count; }

// What can be given to sandboxes. Of the first span, which has a whole range, the first ids are those of images and the
// last one is the daemon's: they stay the same whatever is added to the user's lines.
struct Cut {
  IdExtent images{kImageRangeBase, 0, 0};
  std::uint32_t daemon = 0;
  std::vector<std::uint32_t> ranges;  // of kIdRange each, beside those
};

std::optional<Cut> cut(const std::vector<IdClaim>& spans) {
  std::optional<Cut> result;
  for (const IdClaim& span : spans) {
    if (span.count < kIdRange) continue;
    const bool is_first = !result;
    const auto all = static_cast<std::uint32_t>(span.count - (is_first ? 1 : 0));  // but the daemon's
    if (is_first) {
      const auto last = static_cast<std::uint32_t>(span.first + all);
      result = Cut{{kImageRangeBase, static_cast<std::uint32_t>(span.first), std::min(all, kIdRange)}, last, {}};
    }
    const std::uint32_t whole = std::min(all / kIdRange, kMostOwnRanges + 1);
    for (std::uint32_t i = is_first ? 1 : 0; i < whole; ++i)
      result->ranges.push_back(static_cast<std::uint32_t>(span.first + std::uint64_t{i} * kIdRange));
  }
  return result;
}

bool is_free(std::uint32_t base, const IdTexts& texts) {
  const auto is_met = [base](const std::vector<IdClaim>& claims) {
    return std::any_of(claims.begin(), claims.end(), [base](const IdClaim& c) { return c.meets(base); });
  };
  return !is_met(parse_id_claims("", texts.passwd, IdFile::accounts)) &&
         !is_met(parse_id_claims("", texts.group, IdFile::accounts)) &&
         !is_met(parse_id_claims("", texts.subuid, IdFile::subordinate)) &&
         !is_met(parse_id_claims("", texts.subgid, IdFile::subordinate));
}

std::string lines_to_add(const IdUser& user, const IdTexts& texts) {
  std::uint32_t base = kFirstOfUsers;
  while (base < kImageRangeBase - kIdRange && !is_free(base, texts)) base += kIdRange;
  const std::string first = std::to_string(base);
  const std::string last = std::to_string(base + kIdRange - 1);
  return "sudo usermod --add-subuids " + first + "-" + last + " --add-subgids " + first + "-" + last + " " + user.name +
         "   (it adds the line " + user.name + ":" + first + ":" + std::to_string(kIdRange) +
         " to /etc/subuid and /etc/subgid)";
}

Error too_few(const IdUser& user, const IdTexts& texts, const std::string& why) {
  return Error(ErrorCode::failed_precondition,
               "sandboxes without root need " + std::to_string(kIdRange) + " subordinate ids in one piece: " + why)
      .with_hint(lines_to_add(user, texts));
}

// The user's spans that nobody else has a part of.
struct Spans {
  std::vector<IdClaim> good;
  std::string shared;  // which of the others is whose, too
};

Result<Spans> spans_of(const IdUser& user, const IdTexts& texts, const Kind& kind) {
  std::vector<IdClaim> all;
  std::vector<IdClaim> others = parse_id_claims(kind.accounts_path, kind.accounts, IdFile::accounts);
  for (IdClaim& claim : parse_id_claims(kind.path, kind.text, IdFile::subordinate))
    (is_claim_of(user, claim) ? all : others).push_back(std::move(claim));
  if (all.empty()) return too_few(user, texts, std::string(kind.path) + " has no line of user " + user.name);
  Spans spans;
  for (IdClaim& span : all) {
    const auto is_met = [&span](const IdClaim& other) { return overlap(span, other); };
    const auto other = std::find_if(others.begin(), others.end(), is_met);
    const bool is_ours_twice = std::any_of(spans.good.begin(), spans.good.end(), is_met);
    if (other != others.end())
      spans.shared += (spans.shared.empty() ? "" : "; ") + span.where + " has ids of " + other->where;
    if (other == others.end() && !is_ours_twice && span.first + span.count <= kFirstNoId)
      spans.good.push_back(std::move(span));
  }
  return spans;
}

Result<Cut> cut_of(const IdUser& user, const IdTexts& texts, const Kind& kind) {
  LMSB_TRY(const Spans spans, spans_of(user, texts, kind));
  if (auto found = cut(spans.good)) return *std::move(found);
  if (!spans.shared.empty()) return too_few(user, texts, spans.shared);
  return too_few(user, texts, "no line of user " + user.name + " in " + kind.path + " has as many");
}

// Those of images, the daemon's, and sandboxes' own. `own`: the user's or the user's group.
std::vector<IdExtent> lay_out(std::uint32_t own, const Cut& ids, const OwnIds& all) {
  std::vector<IdExtent> extents = {
      {0, own, 1}, {kImageRangeBase, ids.images.outside, all.per_sandbox}, {kDaemonId, ids.daemon, 1}};
  for (std::uint32_t i = 0; i < all.ranges; ++i)
    extents.push_back({kFirstBase + i * kIdRange, ids.ranges[i], kIdRange});
  return extents;
}

}  // namespace

Result<OwnIds> own_ids(const IdUser& user, const IdTexts& texts) {
  const Kind uids{"uids", "/etc/subuid", texts.subuid, "/etc/passwd", texts.passwd};
  const Kind gids{"gids", "/etc/subgid", texts.subgid, "/etc/group", texts.group};
  LMSB_TRY(const Cut users, cut_of(user, texts, uids));
  LMSB_TRY(const Cut groups, cut_of(user, texts, gids));
  OwnIds ids;
  ids.per_sandbox = std::min(users.images.count, groups.images.count);
  const std::size_t ranges = std::min(users.ranges.size(), groups.ranges.size());
  if (ranges >= kLeastOwnRanges) ids.ranges = static_cast<std::uint32_t>(std::min<std::size_t>(ranges, kMostOwnRanges));
  ids.users = lay_out(user.uid, users, ids);
  ids.groups = lay_out(user.gid, groups, ids);
  return ids;
}

Error not_given(int error, const std::string& what, const std::string& path) {
  Error failed = Error::from_errno(error, what);
  if (error != EPERM) return failed;
  return std::move(failed)
      .with_context("the subordinate ids of this user have changed since")
      .with_hint("give the lines of /etc/subuid and /etc/subgid back that were there; or, to begin anew: sudo rm -r " +
                 path);
}

Result<OwnIds> own_ids_of_this_user() {
  const passwd* entry = ::getpwuid(::geteuid());
  if (entry == nullptr)
    return Error(ErrorCode::failed_precondition, "user " + std::to_string(::geteuid()) + " has no account here");
  return own_ids({entry->pw_name, ::geteuid(), ::getegid()},
                 {os::read_text("/etc/passwd"), os::read_text("/etc/group"), os::read_text("/etc/subuid"),
                  os::read_text("/etc/subgid")});
}

}  // namespace lmsb::sandbox
