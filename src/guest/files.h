#pragma once
// Small file work below a directory descriptor that never follows a symbolic link on the way: the image's tree is
// hostile while the guest still has power. Each returns 0 or an errno.
#include <cstdint>
#include <string_view>
#include <sys/stat.h>
#include <sys/types.h>

namespace lmsb::guest {

// Opens `path` (relative) below `root`: no symbolic links, no magic links, nothing above. Returns the descriptor or
// -errno.
int open_beneath(int root, const char* path, std::uint64_t flags, mode_t mode = 0);

// Makes the directory `path` and its missing parents. An existing directory is left as it is.
int make_directories(int root, const char* path, mode_t mode);

// Both only in a tree of our own that nobody has touched yet: links on the way to `path` are followed.
int make_directory(int root, const char* path, mode_t mode, uid_t owner = 0);
int make_link(int root, const char* target, const char* path);
// Makes the file in place of whatever stands there, which is removed (a symbolic link of the image, say). Only a
// regular file that says the same already, less than 512 octets, is left as it is, so that this works on a full disk.
int write_new_file(int root, const char* path, std::string_view content, mode_t mode);
// Writes to an existing file of procfs or cgroupfs in one write.
int write_existing(int root, const char* path, std::string_view content);

}  // namespace lmsb::guest
