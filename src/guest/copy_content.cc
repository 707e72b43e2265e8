#include "guest/copy_content.h"

#include <array>
#include <cerrno>
#include <unistd.h>
#include <utility>

#include "os/atomic_file.h"

namespace lmsb::guest {
namespace {

constexpr std::size_t kMaxPart = 1U << 30U;

std::array<char, 64 * 1024> block;

}  // namespace

int copy_content(int from, int to, std::uint64_t& bytes) {
  for (bool in_kernel = true;;) {
    const ssize_t n = in_kernel ? ::copy_file_range(from, nullptr, to, nullptr, kMaxPart, 0)
                                : ::read(from, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && in_kernel && errno != ENOSPC && errno != EDQUOT && errno != EIO && errno != EFBIG) {
      in_kernel = false;  // not between these two file systems
      continue;
    }
    if (n < 0) return errno;
    if (n == 0 && std::exchange(in_kernel, false)) continue;  // of a file of /proc it says that there is nothing
    if (n == 0) return 0;
    if (!in_kernel) {
      const int error = os::write_exactly(to, block.data(), static_cast<std::size_t>(n));
      if (error != 0) return error;
    }
    bytes += static_cast<std::uint64_t>(n);
  }
}

}  // namespace lmsb::guest
