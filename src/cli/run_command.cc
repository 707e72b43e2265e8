// run: a command in a fresh sandbox: a one-shot; or one that can be seen, entered and talked to while it runs.
#include <chrono>
#include <memory>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/exec_session.h"
#include "cli/inputs.h"
#include "cli/interrupts.h"
#include "cli/port_forward.h"
#include "cli/requests.h"
#include "cli/temporary_sandbox.h"
#include "cli/terminal.h"

namespace lmsb::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kOneShotTimeout{120'000};  // the daemon's own default
constexpr int kInterrupted = 130;                 // as a shell says it

Result<int> show_plan(Api& api, const Call& call, bool json, Console& console) {
  LMSB_TRY(const auto answer, call_json(api, call));
  console.out(json ? pretty(answer.root()) : text_field(answer.root(), "plan"));
  return 0;
}

Result<int> run_one_shot(const RunCommand& command, Inputs inputs, Connection& connection, Console& console) {
  if (command.process.interactive && !command.dry_run) {
    LMSB_TRY(inputs.stdin_data, read_stdin());
  }
  Call call("POST", "/v1/run", run_body(command, inputs));
  call.timeout = call.silence = command.process.timeout.value_or(kOneShotTimeout) + kQueueAllowance;
  if (command.dry_run) return show_plan(connection, call, command.target.json, console);
  return conclude(connection, call, command.target.json, console);
}

// What is kept for it: where commands start, and as whom, is the sandbox's own, for those that come later too.
CreateCommand sandbox_of(const RunCommand& command) {
  CreateCommand create;
  create.target = command.target;
  create.sandbox = command.sandbox;
  create.life.idle = command.idle;
  create.cwd = command.process.cwd;
  create.user = command.process.user;
  return create;
}

ExecCommand command_in(const std::string& sandbox, const RunCommand& command) {
  ExecCommand exec;
  exec.target = command.target;
  exec.sandbox = sandbox;
  exec.process = command.process;
  exec.process.cwd.clear();
  exec.process.user.clear();
  exec.terminal = command.terminal;
  exec.detach = command.detach;
  return exec;
}

// Stays, as its command does; prints the sandbox's id.
Result<int> run_detached(const RunCommand& command, Inputs inputs, Connection& connection, Console& console) {
  if (command.process.interactive) {
    LMSB_TRY(inputs.stdin_data, read_stdin());
  }
  const Call create("POST", "/v1/sandboxes", create_body(sandbox_of(command), inputs));
  LMSB_TRY(const auto made, call_json(connection, create));
  const std::string id = text_field(made.root(), "id");
  inputs.env.clear();
  const Call start("POST", sandbox_url(id) + "/exec", exec_body(command_in(id, command), inputs));
  const auto process = call_json(connection, start);
  if (!process.ok()) {
    (void)call_json(connection, Call("DELETE", sandbox_url(id)));  // what is wrong with the command is said
    return process.error();
  }
  console.out(command.target.json ? pretty(process->root()) : id + "\n");
  return 0;
}

// Until the command ends; Ctrl-C ends it, and the sandbox with it.
Result<int> run_seen(const RunCommand& command, Inputs inputs, Connection& connection, Console& console) {
  LMSB_TRY(const auto sandbox, TemporarySandbox::create(sandbox_of(command), inputs, connection, console));
  LMSB_TRY(const auto ports, PortsForwarded::start(connection, sandbox->id(), command.ports, console));
  const ExecCommand exec = command_in(sandbox->id(), command);
  inputs.env.clear();
  if (command.process.interactive && !command.terminal && !streams_stdin(exec)) {
    LMSB_TRY(inputs.stdin_data, read_stdin());
  }
  if (command.terminal) return exec_in(exec, inputs, connection, BorrowedFd(-1), console);
  const Interrupts interrupts;
  auto status = exec_in(exec, inputs, connection, interrupts.fd(), console);
  if (!status.ok() && interrupts.has_come()) return kInterrupted;
  return status;
}

// What nobody else can see needs less.
bool is_one_shot(const RunCommand& command) {
  if (command.terminal || !command.ports.empty() || !command.sandbox.name.empty() || !command.sandbox.labels.empty())
    return false;
  return !command.process.interactive || command.target.json || can_be_read_whole();
}

}  // namespace

Result<int> execute(const RunCommand& command, Console& console) {
  if (command.terminal && !is_on_terminal()) return no_terminal();
  Inputs inputs;
  LMSB_TRY(inputs.env, variables_of(command.env));
  const auto use = command.detach ? PrivateDaemonUse::senseless : PrivateDaemonUse::allowed;
  LMSB_TRY(const auto connection, Connection::open(command.target, use, console));
  const auto missing = command.dry_run ? MissingVolumes::stay : MissingVolumes::are_made;
  LMSB_CHECK(take_mounts(command.sandbox.mounts, missing, *connection, inputs));
  if (command.dry_run) return run_one_shot(command, std::move(inputs), *connection, console);
  if (command.detach) return run_detached(command, std::move(inputs), *connection, console);
  if (is_one_shot(command)) return run_one_shot(command, std::move(inputs), *connection, console);
  return run_seen(command, std::move(inputs), *connection, console);
}

}  // namespace lmsb::cli
