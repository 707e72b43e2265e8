#pragma once
// Devices of the machine that a sandbox asks for by name: where they are in the table, who may give them, and what
// commands are told of them. Pure.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/policy.h"
#include "control/principal.h"
#include "sandbox/device_table.h"

namespace lmsb::control {

// Their places in the table, each once. Errors: device_not_found, device_not_usable, device_denied (who asks is no
// administrator, and `caps` lists neither the device nor its kind), too_many_devices.
Result<std::vector<std::uint32_t>> find_devices(const sandbox::DeviceTable& table, const PolicyCaps& caps,
                                                const Principal& who, const std::vector<std::string>& names);

// Sets the variables that the devices' files say. Of one that several set the last counts.
void add_device_variables(const sandbox::DeviceTable& table, const std::vector<std::uint32_t>& places,
                          std::map<std::string, std::string>& variables);

}  // namespace lmsb::control
