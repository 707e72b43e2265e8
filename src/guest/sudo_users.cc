#include "guest/sudo_users.h"

#include <algorithm>

#include "guest_protocol/profile.h"

namespace lmsb::guest {
namespace {

std::string_view take(std::string_view& text, char end) {
  const std::string_view part = text.substr(0, text.find(end));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

bool read_id(std::string_view text, std::uint32_t& id) {
  if (text.empty() || text.size() > 5) return false;
  id = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return false;
    id = id * 10 + static_cast<std::uint32_t>(digit - '0');
  }
  return id < guest_protocol::kInnerIds;
}

// NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL
bool read_user(std::string_view line, SudoUser& user) {
  user.name = take(line, ':');
  (void)take(line, ':');
  const std::string_view uid = take(line, ':');
  const std::string_view gid = take(line, ':');
  (void)take(line, ':');
  user.home = take(line, ':');
  user.shell = take(line, ':');
  return !user.name.empty() && read_id(uid, user.uid) && read_id(gid, user.gid);
}

}  // namespace

bool find_user(std::string_view passwd, std::string_view wanted, SudoUser& user) {
  std::uint32_t id = 0;
  const bool is_number = !wanted.empty() && wanted.front() == '#';
  if (is_number && !read_id(wanted.substr(1), id)) return false;
  while (!passwd.empty())
    if (read_user(take(passwd, '\n'), user) && (is_number ? user.uid == id : user.name == wanted)) return true;
  // root is there where no file says so; so is a number.
  user = {id, id, is_number ? wanted.substr(1) : wanted, "/", "/bin/sh"};
  if (is_number && id != 0) return true;
  user.name = "root";
  user.home = "/root";
  return is_number || wanted == "root";
}

bool find_group(std::string_view group, std::string_view wanted, std::uint32_t& gid) {
  if (!wanted.empty() && wanted.front() == '#') return read_id(wanted.substr(1), gid);
  while (!group.empty()) {
    std::string_view line = take(group, '\n');
    const std::string_view name = take(line, ':');
    (void)take(line, ':');
    if (!name.empty() && name == wanted && read_id(take(line, ':'), gid)) return true;
  }
  return false;
}

// NAME:PASSWORD:GID:MEMBER,MEMBER
std::size_t find_groups(std::string_view group, std::string_view user, gid_t first, std::span<gid_t> into) {
  std::size_t count = 0;
  into[count++] = first;
  while (!group.empty() && count < into.size()) {
    std::string_view line = take(group, '\n');
    std::uint32_t gid = 0;
    (void)take(line, ':');
    (void)take(line, ':');
    if (!read_id(take(line, ':'), gid) || gid == first) continue;
    while (!line.empty())
      if (take(line, ',') == user) {
        into[count++] = gid;
        break;
      }
  }
  return count;
}

}  // namespace lmsb::guest
