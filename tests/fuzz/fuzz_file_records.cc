// The answer of a file operation, as a sandbox sends it.
#include "control/file_record_reader.h"
#include "fuzz.h"
#include "guest_protocol/file_records.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lmsb::fuzz::Input input(data, size);
  lmsb::control::FileRecordReader reader;
  std::size_t octets = 0;
  while (!input.empty()) {
    reader.feed(input.take(1U + input.octet()));
    for (;;) {
      const auto next = reader.next();
      if (!next.ok()) return 0;
      if (!*next) break;
      octets += sizeof(lmsb::guest_protocol::RecordHeader);
      if (const auto* part = std::get_if<lmsb::control::FileData>(&**next)) {
        LMSB_ASSERT(part->octets.size() <= lmsb::guest_protocol::kMaxDataBody);
        octets += part->octets.size();
      }
      if (const auto* info = std::get_if<lmsb::control::FileInfo>(&**next)) {
        LMSB_ASSERT(info->path.size() <= lmsb::guest_protocol::kMaxFilePath);
        LMSB_ASSERT(!lmsb::control::etag_of(*info).empty());
      }
      LMSB_ASSERT(octets <= size);
    }
  }
  return 0;
}
