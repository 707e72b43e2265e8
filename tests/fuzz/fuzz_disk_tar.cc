// The archive in a snapshot's file, which anybody may have made: read by the archiver.
#include <array>
#include <memory>

#include "fuzz.h"
#include "guest/disk_tar.h"
#include "source.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lmsb::fuzz::Source source(lmsb::fuzz::text_of(data, size));
  static std::unique_ptr<lmsb::guest::DiskTarReader> reader;  // it is large: one at a time
  reader = std::make_unique<lmsb::guest::DiskTarReader>(source);
  lmsb::guest::DiskMember member;
  std::size_t total = 0;
  while (reader->next(member) == 1) {
    LMSB_ASSERT(!member.path.empty() && member.uid <= 0xffff && member.gid <= 0xffff && member.mode <= 07777);
    std::string_view name;
    std::string_view value;
    while (reader->next_attribute(name, value)) LMSB_ASSERT(name.size() < 256 && value.size() <= size);
    std::array<char, 300> content{};
    std::uint64_t end = 0;
    for (ssize_t n = 1; n > 0;) {
      std::uint64_t offset = 0;
      n = reader->read(content.data(), content.size(), offset);
      if (n < 0) return 0;
      LMSB_ASSERT(n == 0 || (offset >= end && offset + static_cast<std::uint64_t>(n) <= member.size));
      end = n == 0 ? end : offset + static_cast<std::uint64_t>(n);
      total += static_cast<std::size_t>(n);
    }
    LMSB_ASSERT(total <= size);
  }
  return 0;
}
