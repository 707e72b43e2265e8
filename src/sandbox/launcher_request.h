#pragma once
// launcher_request: what a message to the launcher is: of the daemon, or of a caller who hands something over. Pure:
// the octets come from whoever holds the other end, and their values are still to be checked (launch_plan.h).
#include <cstddef>
#include <cstdint>
#include <sys/types.h>
#include <variant>

#include "sandbox/launcher_protocol.h"
#include "sandbox/mount_token.h"

namespace lmsb::sandbox {

// What is no request: to be refused, by its number where it has one (else 0).
struct UnknownRequest {
  std::uint32_t request = 0;
};
using LauncherRequest = std::variant<UnknownRequest, LaunchRequest, DestroyRequest, LimitRequest, DiskRequest,
                                     CopyRequest, VolumeRequest, ArchiveRequest, GateRequest>;

// `size` as receiving returned it: negative for a message that did not fit.
LauncherRequest parse_launcher_request(const void* message, ssize_t size);

// Whether a message with so many descriptors is the offer of one thing at a desk (mount_token.h).
bool is_offer(const void* message, ssize_t size, std::size_t descriptors);

}  // namespace lmsb::sandbox
