#pragma once
// Finding the machine's devices: reads its directories of CDI files, looks at what they name, and makes the one table
// that daemon and launcher work with.
//
// The files are settings of root's: one that others could have written is not believed. What cannot be believed, read
// or found is a fault that is told, and takes nothing else with it.
#include <string>
#include <vector>

#include "sandbox/device_table.h"

namespace lmsb::cdi {

// Blocking. Of two files that describe a device of one name the one in the later directory counts; in the same
// directory neither does. A directory that is not there has no devices.
sandbox::DeviceTable find_devices(const std::vector<std::string>& directories);

}  // namespace lmsb::cdi
