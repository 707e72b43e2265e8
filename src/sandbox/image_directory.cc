#include "sandbox/image_directory.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "sandbox/own_ids.h"

namespace lmsb::sandbox {

Status make_image_directory(const std::string& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) return Error::from_errno(failure.value(), "make " + path);
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!directory) return Error::from_errno(errno, "open " + path);
  const bool is_root = ::geteuid() == 0;
  if ((is_root && ::fchown(directory.get(), 0, kImagesGid) < 0) || ::fchmod(directory.get(), 0750) < 0)
    return not_given(errno, "close " + path + " to users", path);
  return {};
}

}  // namespace lmsb::sandbox
