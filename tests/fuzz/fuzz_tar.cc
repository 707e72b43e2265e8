// An archive that somebody uploads: read inside the sandbox, and by `lm-sandbox cp` from one.
#include <algorithm>
#include <array>
#include <cstring>

#include "fuzz.h"
#include "os/tar.h"

namespace {

class Source final : public lmsb::os::ArchiveSource {
 public:
  explicit Source(std::string_view octets) : rest_(octets) {}
  ssize_t read(void* data, std::size_t size) override {
    const std::string_view part = rest_.substr(0, std::min<std::size_t>(size, 700));
    rest_.remove_prefix(part.size());
    if (!part.empty()) std::memcpy(data, part.data(), part.size());
    return static_cast<ssize_t>(part.size());
  }

 private:
  std::string_view rest_;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Source source(lmsb::fuzz::text_of(data, size));
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
