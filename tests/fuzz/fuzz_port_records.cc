// What a sandbox says listens in it.
#include "base/assert.h"
#include "control/port_reader.h"
#include "fuzz.h"
#include "guest_protocol/port_records.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view records(reinterpret_cast<const char*>(data), size);
  const auto ports = lmsb::control::read_ports(records);
  LMSB_ASSERT(ports.size() <= size / sizeof(lmsb::guest_protocol::PortRecord));
  for (const auto& port : ports) LMSB_ASSERT(port.port > 0 && port.pid >= 0 && !port.address.empty());
  return 0;
}
