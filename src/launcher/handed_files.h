#pragma once
// HandedFiles: the files of the settings, which perhaps root alone may read, handed to the daemon as open descriptors.
//
// The parent opens the names that it was started with, and no others, and sends the descriptors: once before the
// daemon starts, again at every SIGHUP, and again whenever the daemon asks for it. It reads none of them. One message
// is all of the files, in the order of the names.
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::launcher {

constexpr std::size_t kMaxHandedFiles = 32;

struct HandedFile {
  UniqueFd fd;    // read-only
  int error = 0;  // errno of opening it; then there is no descriptor
};

// The parent's side. Sends what is at `paths` now, at most kMaxHandedFiles. A daemon that is gone is no error; one that
// has not read earlier messages gets no further one.
void hand_files(int socket, const std::vector<std::string>& paths);
// Reads one request of the daemon. False when there is none, or its end is closed.
bool take_request(int socket);

// The daemon's side; never blocks. Nothing when no message waits. Errors: cancelled (the parent is gone).
Result<std::optional<std::vector<HandedFile>>> receive_files(int socket);
// Asks for the files as they are now: they come as a further message.
void ask_for_files(int socket);

}  // namespace lmsb::launcher
