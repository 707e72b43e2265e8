// What a guest hands back of a process that an earlier daemon started.
#include "control/process_note.h"
#include "fuzz.h"
#include "guest_protocol/messages.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > lmsb::guest_protocol::kMaxNote) return 0;
  const auto note = lmsb::control::unpack_process_note({reinterpret_cast<const char*>(data), size});
  if (!note || !note->session.empty()) return 0;
  LMSB_ASSERT(note->id.starts_with("prc_") && note->timeout.count() >= 0);
  return 0;
}
