#pragma once
// Reading what a sandbox says listens in it (guest_protocol/port_records.h). Pure; any thread.
#include <string_view>
#include <vector>

#include "control/port_service.h"

namespace lmsb::control {

// What is in `records`, which is hostile input, ordered by port: each socket once. Stops at the first thing that does
// not add up.
std::vector<ListeningPort> read_ports(std::string_view records);

}  // namespace lmsb::control
