#pragma once
// checks: what must be right before anything is started. Each Error says what to do. Blocking, small.
#include <string>

#include "base/result.h"
#include "config/config.h"
#include "os/user_namespaces.h"

namespace lmsb::serve {

// Whether sandboxes can be made by who runs this: root, and user namespaces are there. The Error names the sysctl.
Status check_power(bool is_root, const os::ReadFile& read_file);

// Makes the data directory (and its parents) when it is missing, and asks whether it can be written.
Status check_data_directory(const std::string& path);

// Whether name servers and ranges of [network] are such.
Status check_network(const config::Config& config);

// Beyond loopback everybody needs a key, so there has to be one, and the machine's own programs (image `host`) are not
// for whoever comes. `default_image` is the one in force, not what the settings say of it.
Status check_binding(const config::Config& config, const std::string& default_image);

}  // namespace lmsb::serve
