// A zip archive that somebody uploads: read inside the sandbox.
#include <array>
#include <cerrno>
#include <cstdio>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "guest/zip_reader.h"

// All contents together are at most what deflate can make of the input, whatever it says.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = ::memfd_create("zip", 0);
  if (::ftruncate(file, 0) < 0 || ::pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) return 0;
  lmsb::guest::ZipReader reader(file);
  lmsb::os::ArchiveMember member;
  std::size_t total = 0;
  std::size_t members = 0;
  while (reader.next(member) == 1) {
    LMSB_ASSERT(++members <= size / 46);
    LMSB_ASSERT(member.path.size() <= lmsb::os::kMaxArchivePath && member.target.size() <= lmsb::os::kMaxArchivePath);
    LMSB_ASSERT(!member.path.empty() && member.path.find('\0') == std::string_view::npos);
    std::array<char, 3000> content{};
    std::size_t got = 0;
    for (ssize_t n = 1; n > 0;) {
      n = reader.read(content.data(), content.size());
      if (n < 0) return 0;
      got += static_cast<std::size_t>(n);
    }
    if (member.type == lmsb::os::MemberType::file) LMSB_ASSERT(got == member.size);
    total += got;
    LMSB_ASSERT(total <= 1032 * size);
  }
  return 0;
}
