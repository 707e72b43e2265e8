// run: a command in a fresh sandbox: a one-shot; or one that can be seen, entered and talked to while it runs.
#include <chrono>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/exec_session.h"
#include "cli/follow.h"
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
constexpr milliseconds kFirstMoment{300};         // in which one that cannot be started says so
constexpr int kInterrupted = 130;                 // as a shell says it
constexpr int kNotExecutable = 126;               // the daemon's verdicts
constexpr int kNotFound = 127;

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

// Whether it was refused, by the daemon's own verdict. One that has run has used memory, whatever its exit status.
bool was_refused(json::Value result) {
  const double code = number_field(result, "exit_code").value_or(0);
  const auto usage = result.find("usage");
  return (code == kNotExecutable || code == kNotFound) && usage && number_field(*usage, "max_memory_bytes") == 0.0;
}

// The exit status of a command that cannot be started, of which it says why; nothing: it runs, or has run.
Result<std::optional<int>> failure_to_start(Connection& connection, const std::string& sandbox, const std::string& id,
                                            Console& console) {
  const std::string process = sandbox_url(sandbox) + "/processes/" + url_segment(id);
  LMSB_TRY(const auto told,
           call_json(connection, Call("GET", process + "?wait_ms=" + std::to_string(kFirstMoment.count()))));
  const auto result = told.root().find("result");
  if (!result || !was_refused(*result)) return std::optional<int>();
  LMSB_TRY(const auto followed, follow(connection, Call("GET", process + "/output?follow=true"), true, console));
  return std::optional(followed.exit_status);
}

// Stays, as its command does, whatever becomes of that; prints the sandbox's id. Where the command cannot be started
// there is nothing to keep: the sandbox goes.
Result<int> run_detached(const RunCommand& command, Inputs inputs, Connection& connection, Console& console) {
  if (command.process.interactive) {
    LMSB_TRY(inputs.stdin_data, read_stdin());
  }
  LMSB_TRY(const auto sandbox, TemporarySandbox::create(sandbox_of(command), inputs, false, connection, console));
  inputs.env.clear();
  const Call start("POST", sandbox_url(sandbox->id()) + "/exec", exec_body(command_in(sandbox->id(), command), inputs));
  LMSB_TRY(const auto process, call_json(connection, start));
  LMSB_TRY(const auto failed, failure_to_start(connection, sandbox->id(), text_field(process.root(), "id"), console));
  if (failed) return *failed;
  LMSB_CHECK(sandbox->keep(command.idle.value_or(milliseconds(0))));
  console.out(command.target.json ? pretty(process.root()) : sandbox->id() + "\n");
  return 0;
}

// Until the command ends; Ctrl-C ends it, and the sandbox with it.
Result<int> run_seen(const RunCommand& command, Inputs inputs, Connection& connection, Console& console) {
  const ExecCommand wanted = command_in("", command);
  if (command.process.interactive && !command.terminal && !streams_stdin(wanted)) {
    LMSB_TRY(inputs.stdin_data, read_stdin());
  }
  LMSB_TRY(const auto ports, PortsForwarded::bind(command.ports, console));
  std::optional<EndingSignalsHeld> held;  // until the sandbox of a session is gone
  const auto sandbox = TemporarySandbox::create(sandbox_of(command), inputs, command.terminal, connection, console);
  if (!sandbox.ok()) return sandbox.error();
  if (command.terminal) held.emplace();
  LMSB_CHECK(ports->lead_to(connection, (*sandbox)->id()));
  inputs.env.clear();
  const ExecCommand exec = command_in((*sandbox)->id(), command);
  if (command.terminal) return exec_in(exec, inputs, connection, {BorrowedFd(-1), (*sandbox)->renewal()}, console);
  const Interrupts interrupts;
  auto status = exec_in(exec, inputs, connection, {interrupts.fd(), {}}, console);
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
  if (command.process.interactive) LMSB_CHECK(check_stdin());
  if (command.terminal && !command.dry_run && !is_on_terminal()) return no_terminal();
  Inputs inputs;
  LMSB_TRY(inputs.env, variables_of(command.env));
  const auto use = command.detach && !command.dry_run ? PrivateDaemonUse::senseless : PrivateDaemonUse::allowed;
  LMSB_TRY(const auto connection, Connection::open(command.target, use, console));
  const auto missing = command.dry_run ? MissingVolumes::stay : MissingVolumes::are_made;
  LMSB_CHECK(take_mounts(command.sandbox.mounts, missing, *connection, inputs));
  if (command.dry_run) return run_one_shot(command, std::move(inputs), *connection, console);
  if (command.detach) return run_detached(command, std::move(inputs), *connection, console);
  if (is_one_shot(command)) return run_one_shot(command, std::move(inputs), *connection, console);
  return run_seen(command, std::move(inputs), *connection, console);
}

}  // namespace lmsb::cli
