#pragma once
// Places in the sandbox's tree: the directory that a path's last component is in, opened. Everything after that goes by
// this descriptor. The way there is the kernel's own, links included, as for any command of the sandbox.
#include <array>
#include <string_view>
#include <sys/stat.h>

#include "guest/file_owner.h"

namespace lmsb::guest {

struct Place {
  int dir = -1;                  // open for the life of the process
  std::array<char, 256> name{};  // in it; "." for the root
  struct stat status {};         // of what is there, not followed
  bool exists = false;
};

// Ends the process by answer::failed() when there is no such directory. The path is absolute. Slashes at its end count
// for nothing. `parents`: directories that are missing on the way are made, for that owner.
Place find_place(const char* path, const Owner* parents = nullptr);
// The same, where the place must exist.
Place find_existing(const char* path);
// The same, but of what a symbolic link in the last place leads to, through up to 40 of them; that need not exist.
Place find_target(const char* path, const Owner* parents = nullptr);

// Whether its name is "." or "..", or it is the root: to be looked at, not to be renamed or removed.
bool is_self_or_parent(const Place& place);

// Opens a directory, ending the process when it cannot be.
int open_directory_or_fail(const char* path);

// Makes what is missing of the directories of `path`, its last component left out. Returns 0 or an errno.
int make_parent_directories(const char* path, const Owner& owner);

// Reads octal digits; ends the process at anything else.
mode_t parse_mode(const char* text);

}  // namespace lmsb::guest
