// A bundle of files that a sandbox hands out.
#include "control/bundle_reader.h"
#include "fuzz.h"
#include "guest_protocol/bundle.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto files = lmsb::control::read_bundle(lmsb::fuzz::text_of(data, size)).files;
  std::size_t total = 0;
  for (const lmsb::control::File& file : files) {
    LMSB_ASSERT(file.path.size() <= lmsb::guest_protocol::kMaxBundlePath);
    total += sizeof(lmsb::guest_protocol::BundleEntry) + file.path.size() + file.data.size();
  }
  LMSB_ASSERT(files.size() <= lmsb::guest_protocol::kMaxBundleFiles && total <= size);
  return 0;
}
