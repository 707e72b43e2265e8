#include "os/memfd.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <thread>

#include "os/files.h"

namespace lmsb::os {
namespace {

constexpr std::chrono::milliseconds kSealPatience{5'000};

Result<UniqueFd> create(const char* name) {
  UniqueFd file(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return Error::from_errno(errno, "memfd_create");
  return file;
}

}  // namespace

Status seal_memfd(int file, std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kTurn{5};
  const auto end = std::chrono::steady_clock::now() + patience;
  while (::fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
    if (errno != EBUSY || std::chrono::steady_clock::now() >= end)
      return Error::from_errno(errno, "seal a memory file");
    std::this_thread::sleep_for(kTurn);
  }
  return {};
}

Result<UniqueFd> make_sealed_memfd(const char* name, std::string_view content) {
  LMSB_TRY(UniqueFd file, create(name));
  if (!write_all(file.get(), content)) return Error::from_errno(errno, "write a memory file");
  if (::lseek(file.get(), 0, SEEK_SET) < 0) return Error::from_errno(errno, "rewind a memory file");
  LMSB_CHECK(seal_memfd(file.get(), {}));  // not waited for: this may be the event loop
  return file;
}

Result<UniqueFd> make_sealed_copy(const char* name, const std::string& path) {
  const UniqueFd source(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!source || ::fstat(source.get(), &info) < 0) return Error::from_errno(errno, "open " + path);
  LMSB_TRY(UniqueFd file, create(name));
  for (off_t left = info.st_size; left > 0;) {
    const ssize_t n = ::sendfile(file.get(), source.get(), nullptr, static_cast<std::size_t>(left));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Error::from_errno(errno, "copy " + path);
    left -= n;
  }
  LMSB_CHECK(seal_memfd(file.get(), kSealPatience));
  return file;
}

}  // namespace lmsb::os
