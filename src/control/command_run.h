#pragma once
// Running one command in a sandbox, from the request to the verdict (interfaces.md, "exec: the contract").
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "control/attached.h"
#include "control/command_start.h"
#include "control/exec.h"
#include "control/sandbox_handle.h"
#include "io/task.h"

namespace lmsb::control {

struct RunPlace {
  bool one_shot = false;  // the sandbox ends with the command, so that killing may kill all
  Bytes spill;            // of each stream that is larger than its cap, in a file of the sandbox; 0: nothing
  std::shared_ptr<AttachedCommands> attached;  // where others find it as long as it runs; null: nowhere
  std::string process;                         // its id there
};

// Runs `command` and waits for its end. Errors only when it could not be tried; everything else is a verdict. When the
// task is cancelled the command's tree is killed. `sandbox` outlives the task.
io::Task<ExecResult> run_command(boost::asio::io_context& loop, SandboxHandle& sandbox, ImageDefaults image,
                                 Command command, RunPlace place);

// Writes files into the sandbox, as its user. Errors name the first file that could not be written.
io::Task<void> put_files(boost::asio::io_context& loop, SandboxHandle& sandbox, std::string cwd,
                         std::vector<File> files);
// Whether files may be asked for by these names. Errors: too_many_files, invalid_path.
Status check_paths(const std::vector<std::string>& paths);
// Reads files by names that have been checked, in their order, at most `cap` octets in all; says why of those that do
// not come.
io::Always<CollectedFiles> collect_files(boost::asio::io_context& loop, SandboxHandle& sandbox, std::string cwd,
                                         std::vector<std::string> paths, Bytes cap);

}  // namespace lmsb::control
