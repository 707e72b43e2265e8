#pragma once
// Spill: keeps the whole of an output that is larger than its cap, in a file inside its sandbox. The file is written by
// a process of the sandbox, with its user's rights, within its limits. One loop, one thread.
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/units.h"
#include "control/sandbox_handle.h"
#include "guest_client/channel.h"
#include "io/foreign_pipe.h"
#include "io/task.h"

namespace lmsb::control {

class Spill {
 public:
  // At most `size` octets. Nothing happens before the first write. `loop` and `sandbox` outlive it and its tasks.
  Spill(boost::asio::io_context& loop, SandboxHandle& sandbox, std::string path, Bytes size);

  // Waits while the sandbox is slower than the output. What cannot be kept is dropped: finish() tells.
  io::Always<void> write(std::string octets);

  struct Kept {
    std::string path;       // "" = nothing could be kept
    bool is_whole = false;  // else the file holds the beginning
  };
  // Ends the file. Waits a bounded time for its writer.
  io::Always<Kept> finish();

 private:
  Status start();

  boost::asio::io_context& loop_;
  SandboxHandle& sandbox_;
  std::string path_;
  const Bytes size_;
  bool has_begun_ = false;
  std::optional<guest_client::Process> writer_;
  io::ForeignPipe stream_;  // to its stdin
};

}  // namespace lmsb::control
