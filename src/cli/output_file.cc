#include "cli/output_file.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>

#include "os/atomic_file.h"

namespace lmsb::cli {
namespace {

Status write_into(const std::string& to, const std::function<Status(int fd)>& fill) {
  const UniqueFd file(::open(to.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
  if (!file) return Error::from_errno(errno, "write " + to);
  return fill(file.get());
}

}  // namespace

Status write_file(const std::string& to, Name name, mode_t mode, const std::function<Status(int fd)>& fill) {
  struct stat there {};
  const bool exists = ::fstatat(AT_FDCWD, to.c_str(), &there, name == Name::of_user ? 0 : AT_SYMLINK_NOFOLLOW) == 0;
  if (exists && S_ISDIR(there.st_mode)) return Error(ErrorCode::invalid_argument, to + " is a directory");
  if (name == Name::of_user && exists && !S_ISREG(there.st_mode)) return write_into(to, fill);
  const std::filesystem::path path(to);
  const std::string directory = path.has_parent_path() ? path.parent_path().string() : ".";
  const UniqueFd dir(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return Error::from_errno(errno, "open the directory " + directory);
  os::AtomicFile file(dir.get());
  if (const int error = file.open(mode); error != 0) return Error::from_errno(error, "write " + to);
  LMSB_CHECK(fill(file.fd()));
  const int error = file.commit(path.filename().c_str(), os::AtomicFile::Existing::replaced);
  return error == 0 ? Status() : Error::from_errno(error, "write " + to);
}

}  // namespace lmsb::cli
