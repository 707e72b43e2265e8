#pragma once
// checks: what must be right before anything is started. Each Error says what to do. Blocking, small.
#include <memory>
#include <string>

#include "base/result.h"
#include "config/config.h"
#include "http/tls.h"
#include "os/user_namespaces.h"

namespace lmsb::serve {

// Whether sandboxes can be made by root: user namespaces are there. The Error names the sysctl. (For others:
// check_rootless().)
Status check_power(const os::ReadFile& read_file);

// Makes the data directory (and its parents) when it is missing, and asks whether it can be written.
Status check_data_directory(const std::string& path);

// Whether name servers and ranges of [network] are such.
Status check_network(const config::Config& config);

// Beyond loopback everybody needs a key, so there has to be one, and the machine's own programs (image `host`) are not
// for whoever comes. `default_image` is the one in force, not what the settings say of it.
Status check_binding(const config::Config& config, const std::string& default_image);

// Where keys travel as they are, a sentence that says so: beyond loopback without TLS. "" = nowhere.
std::string warning_of_binding(const config::Config& config);

// What [tls] says is shown to who connects; null when it says nothing, or there is no address. The Error names the file
// and what is wrong.
Result<std::shared_ptr<const http::TlsContext>> make_tls(const config::Config& config);

}  // namespace lmsb::serve
