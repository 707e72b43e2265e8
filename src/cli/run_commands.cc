// run, create and exec: the commands that carry something into a sandbox.
#include <chrono>
#include <cstdlib>
#include <unistd.h>

#include "base/ids.h"
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/follow.h"
#include "cli/mounts_client.h"
#include "cli/requests.h"
#include "cli/terminal_session.h"
#include "os/small_file.h"

namespace lmsb::cli {
namespace {

using std::chrono::milliseconds;

constexpr Bytes kMaxStdin = Bytes::MiB(16);
constexpr Bytes kMaxEnvFile = Bytes::MiB(1);
constexpr milliseconds kOneShotTimeout{120'000};  // the daemon's own default
constexpr milliseconds kUnlimited = std::chrono::hours(24);
constexpr milliseconds kQueueAllowance{60'000};  // waiting for a place, and the answer's way back

std::optional<std::string> own_variable(const std::string& key) {
  const char* value = std::getenv(key.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

Result<Variables> resolve(const EnvFlags& flags) {
  Variables variables;
  for (const std::string& file : flags.files) {
    LMSB_TRY(const std::string content, os::read_whole_file(file, kMaxEnvFile));
    auto added = add_variables_of_file(variables, content, own_variable);
    if (!added.ok()) return std::move(added).error().with_context("--env-file " + file);
  }
  for (const std::string& text : flags.variables) LMSB_CHECK(add_variable(variables, text, own_variable));
  return variables;
}

Result<Inputs> inputs_of(const EnvFlags& env, bool interactive) {
  Inputs inputs;
  LMSB_TRY(inputs.env, resolve(env));
  if (interactive) {
    LMSB_TRY(inputs.stdin_data, os::read_to_end(STDIN_FILENO, kMaxStdin, "stdin"));
  }
  return inputs;
}

Result<OfferedMount> offer_directory_of(const MountFlag& mount, const Connection& connection) {
  const auto socket = connection.mounts_socket();
  if (socket) return offer_mount(*socket, mount);
  return Error(ErrorCode::unsupported, "-v of a directory needs the daemon's unix socket, not " + connection.name())
      .with_hint("use it on the daemon's own machine, with --host unix:/run/lm-sandbox/api.sock");
}

constexpr std::string_view kVolumePrefix = "vol_";  // of ids

// As with Docker, a volume that is only named is made. One named by its id is there.
Status make_volume(Connection& connection, const std::string& name) {
  if (name.starts_with(kVolumePrefix) && SandboxId::parse(name.substr(kVolumePrefix.size()))) return {};
  VolumeCreateCommand command;
  command.name = name;
  const auto made = call_json(connection, Call("POST", "/v1/volumes", volume_body(command)));
  if (made.ok() || made.error().slug() == "name_taken") return {};
  return made.error();
}

enum class MissingVolumes : std::uint8_t { are_made, stay };
Status take_mounts(const std::vector<MountFlag>& mounts, MissingVolumes missing, Connection& connection,
                   Inputs& inputs) {
  for (const MountFlag& mount : mounts) {
    if (mount.is_volume()) {
      if (missing == MissingVolumes::are_made) LMSB_CHECK(make_volume(connection, mount.source));
      inputs.volumes.push_back(mount);
    } else {
      LMSB_TRY(auto offered, offer_directory_of(mount, connection));
      inputs.mounts.push_back(std::move(offered));
    }
  }
  return {};
}

// Sends a request for a command, prints what it writes as it writes it, or as JSON the result when it has ended, and
// returns its exit status.
Result<int> conclude(Api& api, const Call& call, bool json, Console& console) {
  if (!json) {
    LMSB_TRY(const auto followed, follow(api, call, true, console));
    return followed.exit_status;
  }
  LMSB_TRY(const auto result, call_json(api, call));
  console.out(pretty(result.root()));
  return exit_status_of(result.root());
}

Result<int> show_detached(Api& api, const Call& call, bool json, Console& console) {
  LMSB_TRY(const auto process, call_json(api, call));
  console.out(json ? pretty(process.root()) : text_field(process.root(), "id") + "\n");
  return 0;
}

Result<int> show_plan(Api& api, const Call& call, bool json, Console& console) {
  LMSB_TRY(const auto answer, call_json(api, call));
  console.out(json ? pretty(answer.root()) : text_field(answer.root(), "plan"));
  return 0;
}

}  // namespace

Result<int> execute(const RunCommand& command, Console& console) {
  LMSB_TRY(auto inputs, inputs_of(command.env, command.process.interactive));
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::allowed, console));
  const auto missing = command.dry_run ? MissingVolumes::stay : MissingVolumes::are_made;
  LMSB_CHECK(take_mounts(command.sandbox.mounts, missing, *connection, inputs));
  Call call("POST", "/v1/run", run_body(command, inputs));
  call.timeout = call.silence = command.process.timeout.value_or(kOneShotTimeout) + kQueueAllowance;
  if (command.dry_run) return show_plan(*connection, call, command.target.json, console);
  return conclude(*connection, call, command.target.json, console);
}

Result<int> execute(const ExecCommand& command, Console& console) {
  if (command.terminal && !is_on_terminal())
    return Error(ErrorCode::failed_precondition, "stdin and stdout are no terminal").with_hint("leave -t out");
  LMSB_TRY(const auto inputs, inputs_of(command.env, command.process.interactive && !command.terminal));
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  ExecCommand limited = command;
  if (!command.process.timeout && !command.detach && !command.terminal)
    limited.process.timeout = kUnlimited;  // the API's is for programs
  Call call("POST", "/v1/sandboxes/" + url_segment(command.sandbox) + "/exec",
            exec_body(limited, inputs, window_size()));
  if (command.terminal) {
    LMSB_TRY(const auto process, call_json(*connection, call));
    return join_terminal(*connection, command.sandbox, text_field(process.root(), "id"), console);
  }
  if (command.detach) return show_detached(*connection, call, command.target.json, console);
  call.timeout = call.silence = *limited.process.timeout + kQueueAllowance;
  return conclude(*connection, call, command.target.json, console);
}

Result<int> execute(const CreateCommand& command, Console& console) {
  LMSB_TRY(auto inputs, inputs_of(command.env, false));
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_CHECK(take_mounts(command.sandbox.mounts, MissingVolumes::are_made, *connection, inputs));
  const Call call("POST", "/v1/sandboxes", create_body(command, inputs));
  LMSB_TRY(const auto sandbox, call_json(*connection, call));
  console.out(command.target.json ? pretty(sandbox.root()) : text_field(sandbox.root(), "id") + "\n");
  return 0;
}

}  // namespace lmsb::cli
