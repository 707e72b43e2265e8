#include "sandbox/id_ranges.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "os/files.h"

namespace lmsb::sandbox {
namespace {

std::optional<std::uint64_t> field(std::string_view line, std::size_t index) {
  for (; index > 0; --index) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    line.remove_prefix(colon + 1);
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  return error == std::errc() && end != line.data() ? std::optional(value) : std::nullopt;
}

std::optional<IdClaim> parse_line(std::string_view line, IdFile kind) {
  const bool is_account = kind == IdFile::accounts;
  const auto first = field(line, is_account ? 2 : 1);
  const auto count = is_account ? std::optional<std::uint64_t>(1) : field(line, 2);
  if (!first || !count || *count > ~std::uint64_t{0} - *first) return std::nullopt;
  return IdClaim{*first, *count, {}};
}

}  // namespace

std::vector<IdClaim> parse_id_claims(const std::string& path, std::string_view text, IdFile kind) {
  std::vector<IdClaim> claims;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    auto claim = parse_line(line, kind);
    if (!claim) continue;
    claim->where = path + ":" + std::to_string(number) + ": " + std::string(line);
    claims.push_back(*std::move(claim));
  }
  return claims;
}

std::vector<IdClaim> read_id_claims() {
  struct File {
    const char* path;
    IdFile kind;
  };
  static constexpr std::array<File, 4> kFiles = {{{"/etc/passwd", IdFile::accounts},
                                                  {"/etc/group", IdFile::accounts},
                                                  {"/etc/subuid", IdFile::subordinate},
                                                  {"/etc/subgid", IdFile::subordinate}}};
  std::vector<IdClaim> claims;
  for (const auto& [path, kind] : kFiles)
    for (auto& claim : parse_id_claims(path, os::read_text(path), kind)) claims.push_back(std::move(claim));
  return claims;
}

Status require_unclaimed(const std::vector<IdClaim>& claims, std::uint32_t base, const std::string& whose) {
  const auto claim = std::find_if(claims.begin(), claims.end(), [base](const IdClaim& c) { return c.meets(base); });
  if (claim == claims.end()) return {};
  return Error(ErrorCode::failed_precondition, "the ids " + std::to_string(base) + " to " +
                                                   std::to_string(base + kIdRange - 1) + " of " + whose +
                                                   " are somebody else's too: " + claim->where)
      .with_hint(
          "give that entry other ids: useradd takes them from between SUB_UID_MIN and SUB_UID_MAX of "
          "/etc/login.defs")
      .with_slug("ids_taken");
}

}  // namespace lmsb::sandbox
