// The configuration file, and an environment variable.
#include <sys/mman.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "config/config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const lmsb::UniqueFd file(::memfd_create("config", MFD_CLOEXEC));
  static const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  LMSB_ASSERT(::ftruncate(file.get(), 0) == 0);
  LMSB_ASSERT(::pwrite(file.get(), data, size, 0) == static_cast<ssize_t>(size));
  lmsb::config::Sources sources;
  sources.files = {"!" + path};
  const auto loaded = lmsb::config::load(sources);
  if (!loaded.ok()) {
    LMSB_ASSERT(!loaded.error().message().empty());
    return 0;
  }
  (void)lmsb::config::show(*loaded, true);
  return 0;
}
