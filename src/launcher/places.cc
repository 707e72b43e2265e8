#include "launcher/places.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file_lock.h"
#include "os/files.h"
#include "sandbox/image_directory.h"
#include "sandbox/own_ids.h"

namespace lmsb::launcher {
namespace {

constexpr const char* kMounts = "/mounts.sock";
// A user's daemon sees nothing of the run directory but what it is shown (daemon_view.h): this is one of it.
constexpr const char* kDesk = "/desk";
constexpr const char* kMountsOfUser = "/desk/mounts.sock";

Status make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) < 0 && errno != EEXIST) return Error::from_errno(errno, "make " + path);
  return {};
}

Status make_parents(const std::string& path, mode_t mode) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    LMSB_CHECK(make_directory(path.substr(0, at), mode));
  return make_directory(path, mode);
}

// Of a user's directories: sockets and data in them are open to who comes by.
Status require_closed(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) < 0) return Error::from_errno(errno, "look at " + path);
  if (S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() && (info.st_mode & 077U) == 0) return {};
  return Error(ErrorCode::failed_precondition, path + " is not a directory of this user's alone")
      .with_hint("chmod 700 " + path + ", or choose another with --run-dir and --data-dir");
}

// `path`, and what is above it.
Status make_own(const std::string& path, Starter starter) {
  const bool is_root = starter == Starter::root;
  LMSB_CHECK(make_parents(path, is_root ? 0755 : 0700));
  return is_root ? Status() : require_closed(path);
}

Status put_link(const char* target, const std::string& name) {
  if (::unlink(name.c_str()) < 0 && errno != ENOENT) return Error::from_errno(errno, "remove the old " + name);
  return ::symlink(target, name.c_str()) < 0 ? Error::from_errno(errno, "make " + name) : Status();
}

Result<UniqueFd> open_lock(const std::string& path) {
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return Error::from_errno(errno, "open " + path);
  return lock;
}

Result<UniqueFd> lock_run_dir(const std::string& run_dir) {
  const std::string path = run_dir + "/lock";
  for (int tries = 0; tries < 8; ++tries) {
    LMSB_TRY(UniqueFd lock, open_lock(path));
    LMSB_TRY(const bool is_ours, os::lock_file(lock.get()));
    if (!is_ours) break;
    if (os::is_still_named(lock.get(), AT_FDCWD, path.c_str())) return lock;  // an ending parent removes it
  }
  return Error(ErrorCode::already_exists, "another lm-sandbox serves from " + run_dir)
      .with_hint("stop it, or choose another directory with --run-dir");
}

// "process 17, run directory /run/lm-sandbox": who has a lock of a data directory.
std::string holder(const ParentOptions& o) {
  return "process " + std::to_string(::getpid()) + ", run directory " + o.run_dir;
}

std::string read_holder(int lock) {
  std::array<char, 4096> text{};
  const ssize_t size = ::pread(lock, text.data(), text.size(), 0);
  return size > 0 ? " (" + std::string(text.data(), static_cast<std::size_t>(size)) + ")" : "";
}

// The file stays: who removed it could remove another's.
Result<UniqueFd> lock_data_dir(const ParentOptions& o) {
  const std::string path = o.data_dir + "/lock";
  LMSB_TRY(UniqueFd lock, open_lock(path));
  LMSB_TRY(const bool is_ours, os::lock_file(lock.get()));
  if (!is_ours)
    return Error(ErrorCode::already_exists,
                 "another lm-sandbox" + read_holder(lock.get()) + " keeps its data in " + o.data_dir)
        .with_hint("stop it, or choose another directory with --data-dir");
  const std::string text = holder(o);
  if (::ftruncate(lock.get(), 0) < 0 || ::pwrite(lock.get(), text.data(), text.size(), 0) < 0)
    return Error::from_errno(errno, "write " + path);
  return lock;
}

// The daemon writes sockets to the run directory, and models, the audit log and the database to the data directory;
// everything else there is root's.
Status make_directories(const ParentOptions& o) {
  for (const char* name : {"/private", "/sandboxes"}) LMSB_CHECK(make_directory(o.run_dir + name, 0700));
  LMSB_CHECK(sandbox::make_image_directory(o.data_dir + "/images"));
  for (const std::string& path : directories_of_daemon(o)) {
    LMSB_CHECK(make_directory(path, 0755));
    if (::lchown(path.c_str(), o.daemon_uid, o.daemon_gid) < 0)  // never through a link that somebody put there
      return sandbox::not_given(errno, "give " + path + " to the daemon", path);
  }
  if (o.starter == Starter::user) {
    LMSB_CHECK(make_directory(o.run_dir + kDesk, 0755));
    LMSB_CHECK(put_link("desk/mounts.sock", o.run_dir + kMounts));
  }
  // The socket lives where the daemon may write, its name where users look.
  return put_link("daemon/api.sock", o.run_dir + "/api.sock");
}

}  // namespace

Result<PlaceLocks> make_places(const ParentOptions& options) {
  PlaceLocks locks;
  LMSB_CHECK(make_own(options.data_dir, options.starter));
  if (!options.die_with_parent) {
    LMSB_TRY(locks.data_dir, lock_data_dir(options));
  }
  LMSB_CHECK(make_own(options.run_dir, options.starter));
  LMSB_TRY(locks.run_dir, lock_run_dir(options.run_dir));
  LMSB_CHECK(make_directories(options));
  return locks;
}

// Only names are removed; what is not ours keeps its directory.
void clean_run_dir(const std::string& run_dir) {
  for (const char* name : {"/api.sock", kMounts, kMountsOfUser, "/daemon/api.sock", "/daemon/files.sock"})
    (void)::unlink((run_dir + name).c_str());
  for (const char* name : {"/daemon", "/private", "/sandboxes", kDesk}) (void)::rmdir((run_dir + name).c_str());
  (void)::unlink((run_dir + "/lock").c_str());  // the next one makes what it needs, and then it is not removed
}

std::vector<std::string> directories_of_daemon(const ParentOptions& o) {
  return {o.run_dir + "/daemon", o.data_dir + "/models", o.data_dir + "/audit", o.data_dir + "/state"};
}

std::string desk_of_user(const ParentOptions& o) { return o.run_dir + kDesk; }

std::string mounts_socket(const ParentOptions& o) {
  return o.run_dir + (o.starter == Starter::root ? kMounts : kMountsOfUser);
}

}  // namespace lmsb::launcher
