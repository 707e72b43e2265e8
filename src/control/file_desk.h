#pragma once
// FileDesk: where callers of this machine hand over an open file that the daemon is to read for them (a model to pull).
//
// The caller opens the file itself, so it can only hand over what it may read, and the daemon needs no right of its own
// (as the launcher's mount desk does for directories). The messages are those of sandbox/mount_token.h. The answer is a
// token, valid once and for a minute; 16 callers and 16 files at most wait at a time. Who may reach the socket is a
// matter of its mode, as with the API's: these callers are trusted not to pass what hangs its reader. What a token is
// good for is a matter of the request that names it.
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/mount_token.h"

namespace lmsb::control {

class FileDesk {
 public:
  // Listens at `path`, whose socket file gets `mode` and `group`. One loop, which outlives the desk.
  static Result<std::unique_ptr<FileDesk>> open(boost::asio::io_context& loop, const std::string& path, mode_t mode,
                                                gid_t group);
  ~FileDesk();
  FileDesk(const FileDesk&) = delete;
  FileDesk& operator=(const FileDesk&) = delete;

  // The file behind a token, once: regular, open for reading.
  std::optional<UniqueFd> take(const sandbox::MountToken& token);

 private:
  struct State;
  explicit FileDesk(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace lmsb::control
