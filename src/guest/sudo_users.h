#pragma once
// Users and groups of a sandbox's own /etc/passwd and /etc/group, read as text, for sudo. Nothing is loaded or asked
// (no NSS). Pure; views lead into the text.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <sys/types.h>

namespace lmsb::guest {

struct SudoUser {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string_view name;
  std::string_view home;
  std::string_view shell;
};

// `wanted`: a name, or "#" and a number, which need not stand there: then the group has the same number. False: there
// is no such user. Numbers that nobody in the sandbox can have (kInnerIds) are no users.
bool find_user(std::string_view passwd, std::string_view wanted, SudoUser& user);
bool find_group(std::string_view group, std::string_view wanted, std::uint32_t& gid);

// The groups that name the user as a member, and `first` before them. Returns how many; what does not fit is left out.
std::size_t find_groups(std::string_view group, std::string_view user, gid_t first, std::span<gid_t> into);

}  // namespace lmsb::guest
