// The shell sessions among what Processes serves.
#include <algorithm>
#include <utility>

#include "base/ids.h"
#include "base/text.h"
#include "control/command_start.h"
#include "control/policy.h"
#include "control/processes.h"

namespace lmsb::control {
namespace {

Error too_many_sessions() {
  return Error(ErrorCode::resource_exhausted,
               "the sandbox has " + std::to_string(kMaxSessions) + " shell sessions already")
      .with_slug("too_many_sessions")
      .with_hint("end one: DELETE /v1/sandboxes/{id}/sessions/{name}");
}

Status check_session_command(const std::string& session, const Command& command) {
  LMSB_CHECK(check_command(command));
  if (!is_sandbox_name(session))
    return Error(ErrorCode::invalid_argument, "a session's name must match [A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
        .with_slug("invalid_session");
  const bool is_text = std::holds_alternative<std::string>(command.cmd);
  const bool has_place = !command.env.empty() || !command.cwd.empty() || !command.user.empty();
  if (is_text && command.shell.empty() && !has_place && command.stdin_data.empty()) return {};
  return Error(ErrorCode::invalid_argument,
               "a command of a shell session is a text, without shell, env, cwd, user and stdin")
      .with_slug("invalid_session")
      .with_hint("write it as one would type it: cd /tmp && FOO=1 ./run <<< text");
}

Error no_session(const std::string& name) {
  return Error(ErrorCode::not_found, "no shell session " + quoted(name))
      .with_slug("session_not_found")
      .with_hint("GET /v1/sandboxes/{id}/sessions lists them; one is made by the first command with its name");
}

// The place of a session that is being made; empty again if it was not.
class SessionInMaking {
 public:
  SessionInMaking(ProcessTable& table, std::string name) : table_(table), name_(std::move(name)) {
    table_.sessions[name_] = nullptr;
  }
  ~SessionInMaking() {
    const auto found = table_.sessions.find(name_);
    if (found != table_.sessions.end() && !found->second) table_.sessions.erase(found);
    table_.session_made.notify_all();
  }
  SessionInMaking(const SessionInMaking&) = delete;
  SessionInMaking& operator=(const SessionInMaking&) = delete;

 private:
  ProcessTable& table_;
  std::string name_;
};

}  // namespace

// The session of that name: the one there is, or a new one. Whoever comes while it is being made waits for it.
io::Task<std::shared_ptr<ShellSession>> Processes::session_of(Principal who, std::shared_ptr<ProcessTable> table,
                                                              std::string name, std::shared_ptr<SandboxHandle> sandbox,
                                                              ImageDefaults image) {
  for (auto found = table->sessions.find(name); found != table->sessions.end(); found = table->sessions.find(name)) {
    if (found->second && !found->second->is_over()) co_return found->second;
    if (found->second) {
      table->sessions.erase(found);
      continue;
    }
    LMSB_CO_CHECK(co_await table->session_made.wait());
    LMSB_CO_TRY(const auto visit, parts_.registry.come_back(who, sandbox->id()));
  }
  std::erase_if(table->sessions, [](const auto& entry) { return entry.second && entry.second->is_over(); });
  if (table->sessions.size() >= kMaxSessions) co_return too_many_sessions();
  const SessionInMaking making(*table, name);
  LMSB_CO_TRY(auto session, co_await ShellSession::start(loop_, std::move(sandbox), std::move(image), name));
  table->sessions[name] = session;
  co_return session;
}

io::Task<ExecResult> Processes::run_in_session(Principal who, std::string sandbox, std::string session,
                                               Command command) {
  LMSB_CO_CHECK(check_session_command(session, command));
  LMSB_CO_CHECK(settle_timeout(command, parts_.timeout_cap()));
  LMSB_CO_TRY(auto visit, parts_.registry.visit(who, sandbox));
  const std::string id = visit.sandbox->id();
  ImageDefaults defaults = *visit.defaults;
  auto attached = visit.processes->attached;
  LMSB_CO_TRY(auto shell, co_await session_of(who, std::move(visit.processes), std::move(session),
                                              std::move(visit.sandbox), std::move(defaults)));
  ShellSession::Entrance entrance{parts_.admission, who.name,
                                  [this, who, id]() -> Status {
                                    LMSB_TRY(const auto again, parts_.registry.come_back(who, id));
                                    return {};
                                  },
                                  std::move(attached), create_prefixed_id(kProcessPrefix)};
  const CommandNote note{id, entrance.process, who.name};
  parts_.tell(note, nullptr);
  auto result = co_await ShellSession::run(std::move(shell), std::move(command), std::move(entrance));
  if (result.ok()) parts_.count(*result);
  parts_.tell(note, &told_of(result));
  co_return result;
}

Result<std::vector<SessionInfo>> Processes::sessions(const Principal& who, const std::string& sandbox) {
  LMSB_TRY(const KeptSandbox* kept, parts_.registry.find(who, sandbox));
  std::vector<SessionInfo> all;
  for (const auto& [name, session] : kept->processes->sessions)
    if (session && !session->is_over()) all.push_back(session->info());
  return all;
}

Result<SessionInfo> Processes::session(const Principal& who, const std::string& sandbox, const std::string& session) {
  LMSB_TRY(const KeptSandbox* kept, parts_.registry.find(who, sandbox));
  const auto found = kept->processes->sessions.find(session);
  if (found == kept->processes->sessions.end() || !found->second || found->second->is_over())
    return no_session(session);
  return found->second->info();
}

Status Processes::end_session(const Principal& who, const std::string& sandbox, const std::string& session) {
  LMSB_TRY(const KeptSandbox* kept, parts_.registry.find(who, sandbox));
  const auto found = kept->processes->sessions.find(session);
  if (found == kept->processes->sessions.end() || !found->second || found->second->is_over())
    return no_session(session);
  found->second->end();
  kept->processes->sessions.erase(found);
  return {};
}

}  // namespace lmsb::control
