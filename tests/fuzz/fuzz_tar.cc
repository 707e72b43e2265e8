// An archive that somebody uploads: read inside the sandbox, and by `lm-sandbox cp` from one.
#include <array>

#include "fuzz.h"
#include "os/tar.h"
#include "source.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lmsb::fuzz::Source source(lmsb::fuzz::text_of(data, size));
  lmsb::os::TarReader reader(source);
  lmsb::os::ArchiveMember member;
  std::size_t total = 0;
  while (reader.next(member) == 1) {
    LMSB_ASSERT(member.path.size() <= lmsb::os::kMaxArchivePath && member.target.size() <= lmsb::os::kMaxArchivePath);
    LMSB_ASSERT(member.path.find('\0') == std::string_view::npos);
    std::array<char, 300> content{};
    for (ssize_t n = 1; n > 0;) {
      n = reader.read(content.data(), content.size());
      if (n < 0) return 0;
      total += static_cast<std::size_t>(n);
    }
    LMSB_ASSERT(total <= size);
  }
  return 0;
}
