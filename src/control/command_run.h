#pragma once
// Running one command in a sandbox, from the request to the verdict (interfaces.md, "exec: the contract").
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "control/command_start.h"
#include "control/exec.h"
#include "control/sandbox_handle.h"
#include "io/task.h"

namespace lmsb::control {

// Runs `command` and waits for its end. Errors only when it could not be tried; everything else is a verdict. When the
// task is cancelled the command's tree is killed. `sandbox` outlives the task. `one_shot`: the sandbox ends with this
// command, so that killing may kill all.
io::Task<ExecResult> run_command(boost::asio::io_context& loop, SandboxHandle& sandbox, ImageDefaults image,
                                 Command command, bool one_shot);

// Writes files into the sandbox, as its user. Errors name the first file that could not be written.
io::Task<void> put_files(boost::asio::io_context& loop, SandboxHandle& sandbox, std::string cwd,
                         std::vector<File> files);
// Reads files; those that cannot be read are left out. At most `cap` octets in all.
io::Task<std::vector<File>> get_files(boost::asio::io_context& loop, SandboxHandle& sandbox, std::string cwd,
                                      std::vector<std::string> paths, Bytes cap);

}  // namespace lmsb::control
