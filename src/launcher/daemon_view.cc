#include "launcher/daemon_view.h"

#include <cerrno>
#include <sched.h>
#include <set>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/unique_fd.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

// The directories above `path`, from the top.
std::vector<std::string> above(const std::string& path) {
  std::vector<std::string> all;
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    all.push_back(path.substr(0, at));
  return all;
}

// The first one above `path` that others may not pass; "": none.
Result<std::string> first_closed(const std::string& path) {
  for (const std::string& directory : above(path)) {
    struct stat info {};
    if (::stat(directory.c_str(), &info) < 0) return Error::from_errno(errno, "look at " + directory);
    if ((info.st_mode & S_IXOTH) == 0) return directory;
  }
  return std::string();
}

Status cover(const std::string& directory) {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount("none", directory.c_str(), "tmpfs", kFlags, "size=64k,nr_inodes=64,mode=755") == 0) return {};
  return Error::from_errno(errno, "cover " + directory);
}

Status make_way(const std::string& path) {
  std::vector<std::string> ways = above(path);
  ways.push_back(path);
  for (const std::string& directory : ways)
    if (::mkdir(directory.c_str(), 0755) < 0 && errno != EEXIST) return Error::from_errno(errno, "make " + directory);
  return {};
}

struct Place {
  std::string path;
  UniqueFd tree;
};

}  // namespace

Status open_ways(const std::vector<std::string>& directories) {
  if (::unshare(CLONE_NEWNS) < 0) return Error::from_errno(errno, "unshare the mount namespace");
  std::vector<Place> places;
  std::set<std::string> closed;
  for (const std::string& path : directories) {
    UniqueFd tree(sys::open_tree(AT_FDCWD, path.c_str(), sys::kOpenTreeClone | O_CLOEXEC | unsigned{AT_RECURSIVE}));
    if (!tree) return Error::from_errno(errno, "clone " + path);
    LMSB_TRY(std::string first, first_closed(path));
    if (first.empty()) continue;
    closed.insert(std::move(first));
    places.push_back({path, std::move(tree)});
  }
  for (const std::string& directory : closed) LMSB_CHECK(cover(directory));
  for (const Place& place : places) {
    LMSB_CHECK(make_way(place.path));
    if (sys::move_mount(place.tree.get(), "", AT_FDCWD, place.path.c_str(), sys::kMoveMountFEmptyPath) < 0)
      return Error::from_errno(errno, "put " + place.path + " before the daemon");
  }
  return {};
}

}  // namespace lmsb::launcher
