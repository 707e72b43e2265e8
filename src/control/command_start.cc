#include "control/command_start.h"

#include <cerrno>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "guest_client/guest_error.h"
#include "guest_protocol/sudo.h"

namespace lmsb::control {

using guest_client::StartSpec;
using guest_protocol::Program;

namespace {

bool is_user(std::string_view name) { return name == "user" || name == "1000"; }
bool is_root(std::string_view name) { return name == "root" || name == "0"; }

std::vector<std::string> environment(const ImageDefaults& image, const Command& command, const std::string& cwd) {
  const bool as_root = image.profile == Profile::root && !is_user(command.user);
  const char* name_of_user = as_root ? "root" : "user";
  std::map<std::string, std::string> all = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                                            {"HOME", as_root ? "/root" : "/home/user"},
                                            {"USER", name_of_user},
                                            {"LOGNAME", name_of_user},
                                            {"SHELL", "/bin/bash"},
                                            {"LANG", "C.UTF-8"},
                                            {"PWD", cwd}};
  for (const auto& [name, value] : image.env) all[name] = value;
  if (std::string& path = all["PATH"]; image.profile == Profile::root)
    path = path.empty() ? guest_protocol::kSudoDirectory : fmt::format("{}:{}", guest_protocol::kSudoDirectory, path);
  for (const auto& [name, value] : command.env) all[name] = value;
  std::vector<std::string> list;
  list.reserve(all.size());
  for (const auto& [name, value] : all) list.push_back(name + "=" + value);
  return list;
}

guest_protocol::ProcessLimits process_limits(const CommandLimits& limits) {
  guest_protocol::ProcessLimits numbers;
  if (limits.cpu) numbers.cpu_seconds = static_cast<std::uint64_t>(limits.cpu->count());
  if (limits.memory) numbers.memory_bytes = limits.memory->count();
  if (limits.file) numbers.file_bytes = limits.file->count();
  if (limits.open_files) numbers.open_files = *limits.open_files;
  return numbers;
}

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

Error with_nul(const char* whose) {
  return Error(ErrorCode::invalid_argument, std::string("a NUL character cannot be part of ") + whose);
}

}  // namespace

Result<StartSpec> start_spec(const ImageDefaults& image, const Command& command) {
  LMSB_CHECK(check_user(image.profile, command.user));
  StartSpec spec;
  spec.as_user = image.profile == Profile::root && is_user(command.user);
  spec.cwd = command.cwd.empty() ? image.workdir : command.cwd;
  spec.env = environment(image, command, spec.cwd);
  if (const auto* argv = std::get_if<Argv>(&command.cmd)) {
    spec.argv = *argv;
  } else {
    spec.program = command.shell.empty() ? Program::shell : Program::exec;
    spec.argv = {command.shell, "-c", std::get<std::string>(command.cmd)};
  }
  spec.limits = process_limits(command.limits);
  spec.merge_stderr = command.merge_stderr;
  return spec;
}

Error not_started(const std::string& what, const std::string& cwd, const guest_client::Ending& ending) {
  if (ending.step == guest_protocol::Step::command_cwd)
    return guest_client::guest_error(ending.error, "working directory " + quoted(cwd)).with_slug("invalid_cwd");
  Error error = guest_client::guest_error(ending.error, what + ": " + guest_protocol::to_string(ending.step));
  if (ending.error != EAGAIN) return error;
  return std::move(error).with_slug("too_many_processes").with_hint("the sandbox is at its limit of processes");
}

Status check_command(const Command& command) {
  const auto too_long = [] {
    return Error(ErrorCode::invalid_argument, "an argument is longer than 131071 bytes, which is all that Linux takes")
        .with_slug("command_too_large")
        .with_hint("send the script as a file (POST /v1/run, files) or by stdin");
  };
  const auto check = [&](const std::string& text) -> Status {
    if (text.size() > kMaxArgument) return too_long();
    if (has_nul(text)) return with_nul("a command").with_slug("invalid_command");
    return {};
  };
  if (const auto* argv = std::get_if<Argv>(&command.cmd)) {
    if (argv->empty()) return Error(ErrorCode::invalid_argument, "cmd is an empty list").with_slug("invalid_command");
    for (const std::string& argument : *argv) LMSB_CHECK(check(argument));
  } else {
    LMSB_CHECK(check(std::get<std::string>(command.cmd)));
  }
  LMSB_CHECK(check(command.shell));
  if (has_nul(command.cwd)) return with_nul("a working directory").with_slug("invalid_cwd");
  LMSB_CHECK(check(command.cwd));
  for (const auto& [name, value] : command.env) {
    if (name.empty() || name.find('=') != std::string::npos)
      return Error(ErrorCode::invalid_argument, "malformed environment variable name " + quoted(name))
          .with_slug("invalid_env");
    if (has_nul(name) || has_nul(value)) return with_nul("an environment variable").with_slug("invalid_env");
    LMSB_CHECK(check(name));
    LMSB_CHECK(check(value));
  }
  return check_user(Profile::root, command.user);  // whether the sandbox has root is not known yet
}

Status check_user(Profile profile, const std::string& user) {
  if (user.empty() || is_user(user) || (profile == Profile::root && is_root(user))) return {};
  return Error(ErrorCode::permission_denied, "user " + quoted(user) + " is not allowed in this sandbox")
      .with_slug("user_not_allowed")
      .with_hint(is_root(user) ? "make a sandbox with the profile root (--root)"
                               : "leave `user` out, or name user (uid 1000) or, with the profile root, root");
}

}  // namespace lmsb::control
