// A request to start a command, as the guest takes it apart.
#include <cstring>
#include <vector>

#include "fuzz.h"
#include "guest/become.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static lmsb::guest::ParsedStart parsed;
  std::vector<char> message(data, data + size);  // of the exact size: one octet too far is seen
  if (!lmsb::guest::parse_start(message.data(), message.size(), parsed)) return 0;
  std::size_t used = std::strlen(parsed.cwd) + 1;
  LMSB_ASSERT(parsed.argv[0] != nullptr);
  for (char* const* at = parsed.argv.data(); *at != nullptr; ++at) used += std::strlen(*at) + 1;
  for (char* const* at = parsed.envp.data(); *at != nullptr; ++at) used += std::strlen(*at) + 1;
  lmsb::guest_protocol::StartRequest request{};
  std::memcpy(&request, data, sizeof request);
  LMSB_ASSERT(sizeof request + used + request.note_size == size);
  return 0;
}
