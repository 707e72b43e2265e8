#pragma once
// Running a command of a kept sandbox event by event: what it writes is read from its pipes when the reader has taken
// what came before, so that a slow reader slows the command down and nothing piles up here.
#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "control/admission.h"
#include "control/attached.h"
#include "control/command_input.h"
#include "control/command_start.h"
#include "control/life.h"
#include "control/process_service.h"
#include "control/sandbox_handle.h"

namespace lmsb::control {

constexpr std::chrono::seconds kReaderPatience{5};

// What a followed command runs in and with.
struct StreamPlace {
  std::shared_ptr<SandboxHandle> sandbox;
  ImageDefaults image;
  bool one_shot = false;  // the sandbox ends with the command
  Life::Use use;          // of a kept sandbox, as long as the slot
  // Held until the command has ended, whether or not its output has been taken; or until nobody has asked for more of
  // that for kReaderPatience. The command goes on then as a detached one does, and its reader need not hurry.
  Admission::Slot slot;
  std::function<void()> on_start;  // before on_verdict
  std::function<void(const ExecResult&)> on_verdict;
  std::shared_ptr<io::PipeRelay> relay;        // of stdout; null: it comes as events
  std::shared_ptr<CommandInput> input;         // null: the command's own stdin_data is all
  std::shared_ptr<AttachedCommands> attached;  // where others find it as long as it runs; null: nowhere
  std::string process;                         // its id there
};

// Starts `command`; ends when it has begun. Errors: those of a command that cannot be started. `loop` outlives the
// stream.
io::Task<std::shared_ptr<CommandStream>> open_command_stream(boost::asio::io_context& loop, StreamPlace place,
                                                             Command command);

}  // namespace lmsb::control
