#include "sandbox/own_ids.h"

#include <algorithm>
#include <array>
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

// What can be given to sandboxes.
struct Cut {
  std::vector<std::uint32_t> ranges;   // of kIdRange each
  std::optional<std::uint32_t> spare;  // one id beside them
};

Cut cut(const std::vector<IdClaim>& spans) {
  Cut result;
  for (const IdClaim& span : spans) {
    const std::uint64_t whole = std::min<std::uint64_t>(span.count / kIdRange, kMostOwnRanges + 2);
    for (std::uint64_t i = 0; i < whole; ++i)
      result.ranges.push_back(static_cast<std::uint32_t>(span.first + i * kIdRange));
    if (!result.spare && span.count > whole * kIdRange)
      result.spare = static_cast<std::uint32_t>(span.first + whole * kIdRange);
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
Result<std::vector<IdClaim>> spans_of(const IdUser& user, const IdTexts& texts, const Kind& kind) {
  std::vector<IdClaim> spans;
  std::vector<IdClaim> others = parse_id_claims(kind.accounts_path, kind.accounts, IdFile::accounts);
  for (IdClaim& claim : parse_id_claims(kind.path, kind.text, IdFile::subordinate))
    (is_claim_of(user, claim) ? spans : others).push_back(std::move(claim));
  if (spans.empty()) return too_few(user, texts, std::string(kind.path) + " has no line of user " + user.name);
  std::string shared;
  std::vector<IdClaim> good;
  for (IdClaim& span : spans) {
    const auto other = std::find_if(others.begin(), others.end(), [&](const auto& o) { return overlap(span, o); });
    const bool is_ours_twice = std::any_of(good.begin(), good.end(), [&](const auto& g) { return overlap(span, g); });
    if (other != others.end()) shared = span.where + " has ids of " + other->where;
    if (other == others.end() && !is_ours_twice && span.first + span.count <= kFirstNoId)
      good.push_back(std::move(span));
  }
  if (good.empty() && !shared.empty()) return too_few(user, texts, shared);
  return good;
}

// Those of images, the daemon's, and sandboxes' own. `own`: the user's or the user's group.
std::vector<IdExtent> lay_out(std::uint32_t own, const Cut& ids, const OwnIds& all) {
  std::vector<IdExtent> extents = {{0, own, 1},
                                   {kImageRangeBase, ids.ranges.front(), all.per_sandbox},
                                   {kDaemonId, ids.spare.value_or(ids.ranges.front() + all.per_sandbox), 1}};
  for (std::uint32_t i = 0; i < all.ranges; ++i)
    extents.push_back({kFirstBase + i * kIdRange, ids.ranges[i + 1], kIdRange});
  return extents;
}

// The daemon's id, where nothing is left over: of two ranges the last.
void make_room(Cut& ids) {
  if (ids.spare || ids.ranges.size() < 2) return;
  ids.spare = ids.ranges.back();
  ids.ranges.pop_back();
}

}  // namespace

Result<OwnIds> own_ids(const IdUser& user, const IdTexts& texts) {
  const Kind uids{"uids", "/etc/subuid", texts.subuid, "/etc/passwd", texts.passwd};
  const Kind gids{"gids", "/etc/subgid", texts.subgid, "/etc/group", texts.group};
  std::array<Cut, 2> cuts;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const Kind& kind = i == 0 ? uids : gids;
    LMSB_TRY(const auto spans, spans_of(user, texts, kind));
    cuts[i] = cut(spans);
    if (cuts[i].ranges.empty())
      return too_few(user, texts, "no line of user " + user.name + " in " + kind.path + " has as many");
    make_room(cuts[i]);
  }
  OwnIds ids;
  const bool has_room = cuts[0].spare && cuts[1].spare;
  if (!has_room) ids.per_sandbox = kIdRange - 1;
  const std::size_t ranges = std::min(cuts[0].ranges.size(), cuts[1].ranges.size()) - 1;
  if (has_room && ranges >= kLeastOwnRanges)
    ids.ranges = static_cast<std::uint32_t>(std::min<std::size_t>(ranges, kMostOwnRanges));
  ids.users = lay_out(user.uid, cuts[0], ids);
  ids.groups = lay_out(user.gid, cuts[1], ids);
  return ids;
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
