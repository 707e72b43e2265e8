#pragma once
// HandedFiles: the files of the settings, which perhaps root alone may read, handed to the daemon as open descriptors.
//
// The parent opens the names that it was started with, and no others, and sends the descriptors: once before the
// daemon starts, again at every SIGHUP, and again whenever the daemon asks for it. It reads none of them. One message
// is all of the files, in the order of the names.
//
// On the same socket the daemon says when it serves, for the parent to pass on (os/service_manager.h).
#include <cstdint>
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
// What the daemon says.
enum class DaemonWord : std::uint8_t {
  files = 1,  // it wants the files as they are now
  ready = 2,  // it serves, with the newest files or in spite of them
};
// Reads one. Nothing when there is none, or its end is closed, or it is no word.
std::optional<DaemonWord> take_word(int socket);

// The daemon's side; never blocks. Nothing when no message waits. Errors: cancelled (the parent is gone).
Result<std::optional<std::vector<HandedFile>>> receive_files(int socket);
// After `files` they come as a further message.
void say(int socket, DaemonWord word);

}  // namespace lmsb::launcher
