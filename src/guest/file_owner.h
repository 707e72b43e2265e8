#pragma once
// Owner: whom a file of the sandbox is to belong to, by the names of its own /etc/passwd and /etc/group.
#include <cstdint>
#include <sys/stat.h>
#include <sys/types.h>

namespace lmsb::guest {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
  bool is_given = false;
};

// USER or USER:GROUP, each a name or "#" and a number; without a group the user's own. Null: nobody is given. Ends the
// process by answer::failed() with kUnknownOwner.
Owner parse_owner(const char* text);

// Each returns 0 or an errno; nothing happens when nobody is given. kOwnerNotAllowed: who runs this gives nothing away.
int give(int file, const Owner& owner);
// Of whatever `name` in `dir` is, not followed.
int give_at(int dir, const char* name, const Owner& owner);

// The owner of what is replaced, where it may be given to them; who may not has one of its own.
void keep_owner(int file, const struct stat& replaced);

}  // namespace lmsb::guest
