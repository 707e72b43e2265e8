#include "guest/file_owner.h"

#include <cerrno>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>

#include "guest/file_answer.h"
#include "guest/owner_names.h"
#include "guest/sudo_users.h"
#include "guest_protocol/file_records.h"

namespace lmsb::guest {

Owner parse_owner(const char* text) {
  if (text == nullptr) return {};
  const std::string_view whole = text;
  const std::string_view name = whole.substr(0, whole.find(':'));
  SudoUser user;
  if (!find_user(sandbox_users().text(), name, user)) answer::failed(name, guest_protocol::kUnknownOwner);
  if (name.size() == whole.size()) return {user.uid, user.gid, true};
  const std::string_view group = whole.substr(name.size());  // with its colon: who asks sees what is meant
  gid_t gid = 0;
  if (!find_group(sandbox_groups().text(), group.substr(1), gid)) answer::failed(group, guest_protocol::kUnknownOwner);
  return {user.uid, gid, true};
}

int give(int file, const Owner& owner) { return give_at(file, "", owner); }

int give_at(int dir, const char* name, const Owner& owner) {
  if (!owner.is_given) return 0;
  if (::fchownat(dir, name, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0) return 0;
  // EINVAL, EOVERFLOW: in a directory of the machine there are no other owners.
  const bool is_refused = errno == EPERM || errno == EINVAL || errno == EOVERFLOW;
  return is_refused ? guest_protocol::kOwnerNotAllowed : errno;
}

void keep_owner(int file, const struct stat& replaced) { (void)give(file, {replaced.st_uid, replaced.st_gid, true}); }

}  // namespace lmsb::guest
