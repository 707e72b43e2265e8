#include "cli/requests.h"

#include <array>

#include "base/text.h"
#include "cli/api.h"
#include "cli/exit_status.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

void add_text(json::Writer& writer, std::string_view key, const std::string& text) {
  if (!text.empty()) writer.key(key).string(text);
}

template <class Number>
void add_number(json::Writer& writer, std::string_view key, const std::optional<Number>& number) {
  if (number) writer.key(key).unsigned_integer(static_cast<std::uint64_t>(*number));
}

void add_texts(json::Writer& writer, std::string_view key, const std::vector<std::string>& texts) {
  if (texts.empty()) return;
  writer.key(key).begin_array();
  for (const std::string& text : texts) writer.string(text);
  writer.end_array();
}

void add_variables(json::Writer& writer, std::string_view key, const Variables& variables) {
  if (variables.empty()) return;
  writer.key(key).begin_object();
  for (const auto& [name, value] : variables) writer.key(name).string(value);
  writer.end_object();
}

std::optional<std::uint64_t> octets_of(const std::optional<Bytes>& bytes) {
  return bytes ? std::optional(bytes->count()) : std::nullopt;
}

void add_limits(json::Writer& writer, const LimitFlags& limits) {
  if (!limits.is_something()) return;
  writer.key("limits").begin_object();
  add_number(writer, "memory_bytes", octets_of(limits.memory));
  if (limits.cpu_millis) writer.key("cpus").number(*limits.cpu_millis / 1000.0);
  add_number(writer, "processes", limits.processes);
  add_number(writer, "disk_bytes", octets_of(limits.disk));
  add_number(writer, "shm_bytes", octets_of(limits.shm));
  writer.end_object();
}

// Octets as a JSON string where that is possible, else as {"base64": ...}.
void add_octets(json::Writer& writer, std::string_view key, const std::string& data) {
  if (data.empty()) return;
  if (is_utf8(data)) {
    writer.key(key).string(data);
  } else {
    writer.key(key).begin_object().key("base64").string(base64_encode(data)).end_object();
  }
}

void add_network(json::Writer& writer, const std::optional<NetworkFlag>& network) {
  if (!network) return;
  writer.key("egress").begin_object().key("mode").string(network->mode);
  if (!network->allow.empty()) add_texts(writer, "allow", network->allow);
  writer.end_object();
}

void add_models(json::Writer& writer, const SandboxFlags& sandbox) {
  add_texts(writer, "models", sandbox.models);
  if (!sandbox.model_tokens && !sandbox.model_requests) return;
  writer.key("model_limits").begin_object();
  add_number(writer, "tokens", sandbox.model_tokens);
  add_number(writer, "requests_per_minute", sandbox.model_requests);
  writer.end_object();
}

void add_mounts(json::Writer& writer, const std::vector<OfferedMount>& mounts) {
  if (mounts.empty()) return;
  writer.key("mounts").begin_array();
  for (const auto& [token, target, read_only] : mounts) {
    writer.begin_object().key("token").string(token).key("target").string(target);
    writer.key("read_only").boolean(read_only).end_object();
  }
  writer.end_array();
}

void add_volumes(json::Writer& writer, const std::vector<MountFlag>& volumes) {
  if (volumes.empty()) return;
  writer.key("volumes").begin_array();
  for (const auto& [volume, target, read_only] : volumes) {
    writer.begin_object().key("volume").string(volume).key("target").string(target);
    writer.key("read_only").boolean(read_only).end_object();
  }
  writer.end_array();
}

void add_label_changes(json::Writer& writer, const Variables& labels, const Words& gone) {
  if (labels.empty() && gone.empty()) return;
  writer.key("labels").begin_object();
  for (const auto& [name, value] : labels) writer.key(name).string(value);
  for (const std::string& name : gone) writer.key(name).null();
  writer.end_object();
}

void add_sandbox(json::Writer& writer, const SandboxFlags& sandbox, const Inputs& inputs) {
  add_text(writer, "image", sandbox.image);
  add_text(writer, "name", sandbox.name);
  add_variables(writer, "labels", sandbox.labels);
  add_limits(writer, sandbox.limits);
  add_network(writer, sandbox.network);
  if (sandbox.root) writer.key("profile").string("root");
  add_models(writer, sandbox);
  if (!sandbox.devices.empty()) add_texts(writer, "devices", sandbox.devices);
  add_mounts(writer, inputs.mounts);
  add_volumes(writer, inputs.volumes);
}

void add_process(json::Writer& writer, const ProcessFlags& process, const Inputs& inputs) {
  add_texts(writer, "cmd", process.command);
  add_text(writer, "cwd", process.cwd);
  add_text(writer, "user", process.user);
  add_octets(writer, "stdin", inputs.stdin_data);
  if (process.merge_stderr) writer.key("merge_stderr").boolean(true);
  if (process.timeout) writer.key("timeout_ms").integer(process.timeout->count());
  if (process.limits.empty()) return;
  writer.key("limits").begin_object();
  for (const auto& [name, value] : process.limits) writer.key(name).unsigned_integer(value);
  writer.end_object();
}

void add_life(json::Writer& writer, const LifeFlags& life) {
  if (life.timeout) writer.key("timeout_ms").integer(life.timeout->count());
  if (life.idle) writer.key("idle_ms").integer(life.idle->count());
  add_text(writer, "on_timeout", life.on_timeout);
  add_text(writer, "on_idle", life.on_idle);
}

struct OutcomeNote {
  std::string_view outcome;
  std::string_view text;
};
constexpr std::array<OutcomeNote, 6> kOutcomeNotes{{
    {"timed_out", "the time limit ended the command; --timeout sets it"},
    {"cpu_timed_out", "the CPU time limit ended the command"},
    {"oom_killed", "the memory limit ended the command; --memory sets it"},
    {"disk_full", "the sandbox's disk was full; --disk sets its size"},
    {"cancelled", "the command was cancelled"},
    {"lost", "the sandbox was lost, and the command's end with it; run it again"},
}};

void write_terminal(json::Writer& writer, WindowSize window) {
  writer.key("pty").begin_object().key("cols").unsigned_integer(window.columns);
  writer.key("rows").unsigned_integer(window.rows).end_object();
}

}  // namespace

std::string update_body(const UpdateCommand& command) {
  json::Writer writer;
  writer.begin_object();
  add_life(writer, command.life);
  add_limits(writer, command.limits);
  add_network(writer, command.network);
  add_label_changes(writer, command.labels, command.gone_labels);
  return std::move(writer.end_object()).str();
}

std::string volume_body(const VolumeCreateCommand& command) {
  json::Writer writer;
  writer.begin_object();
  add_text(writer, "name", command.name);
  add_number(writer, "size_bytes", octets_of(command.size));
  add_variables(writer, "labels", command.labels);
  return std::move(writer.end_object()).str();
}

std::string volume_update_body(const VolumeUpdateCommand& command) {
  json::Writer writer;
  writer.begin_object();
  add_number(writer, "size_bytes", octets_of(command.size));
  add_label_changes(writer, command.labels, command.gone_labels);
  return std::move(writer.end_object()).str();
}

std::string key_body(const KeyCreateCommand& command) {
  json::Writer writer;
  writer.begin_object();
  add_text(writer, "name", command.name);
  if (!command.scopes.empty()) {
    writer.key("scopes").begin_array();
    for (const std::string& scope : command.scopes) writer.string(scope);
    writer.end_array();
  }
  add_variables(writer, "labels", command.labels);
  if (command.life) writer.key("expires_in_s").integer(command.life->count());
  writer.key("quota").begin_object();
  add_number(writer, "requests_per_minute", command.requests_per_minute);
  add_number(writer, "sandboxes", command.sandboxes);
  add_number(writer, "memory_bytes", octets_of(command.memory));
  if (command.cpu_millis) writer.key("cpus").number(*command.cpu_millis / 1000.0);
  add_number(writer, "disk_bytes", octets_of(command.disk));
  return std::move(writer.end_object().end_object()).str();
}

// What is made by hand stays until it is removed by hand, unless something else is said.
std::string create_body(const CreateCommand& command, const Inputs& inputs) {
  json::Writer writer;
  writer.begin_object();
  add_sandbox(writer, command.sandbox, inputs);
  LifeFlags life = command.life;
  if (!life.idle) life.idle = std::chrono::milliseconds(0);
  add_life(writer, life);
  add_text(writer, "snapshot", command.snapshot);
  add_text(writer, "cwd", command.cwd);
  add_text(writer, "user", command.user);
  add_variables(writer, "env", inputs.env);
  return std::move(writer.end_object()).str();
}

bool streams_stdin(const ExecCommand& command) {
  const bool is_followed = !command.terminal && !command.detach && !command.target.json && command.session.empty();
  return command.process.interactive && is_followed;
}

std::string exec_body(const ExecCommand& command, const Inputs& inputs, WindowSize window) {
  json::Writer writer;
  writer.begin_object();
  if (command.session.empty()) {
    add_process(writer, command.process, inputs);
    if (command.process.command.empty()) writer.key("cmd").string("");  // a login shell
  } else {
    ProcessFlags process = command.process;
    process.command.clear();
    add_process(writer, process, inputs);
    writer.key("cmd").string(command.process.command.front()).key("session").string(command.session);
  }
  if (command.detach || command.terminal) writer.key("detach").boolean(true);
  if (command.terminal) write_terminal(writer, window);
  if (streams_stdin(command)) writer.key("keep_stdin").boolean(true);
  add_variables(writer, "env", inputs.env);
  return std::move(writer.end_object()).str();
}

std::string stdin_body(const std::string& octets) {
  json::Writer writer;
  writer.begin_object();
  add_octets(writer, "data", octets);
  if (octets.empty()) writer.key("close").boolean(true);
  return std::move(writer.end_object()).str();
}

std::string run_body(const RunCommand& command, const Inputs& inputs) {
  json::Writer writer;
  SandboxFlags sandbox = command.sandbox;
  sandbox.name.clear();  // nobody could use either
  sandbox.labels.clear();
  writer.begin_object();
  add_sandbox(writer, sandbox, inputs);
  add_process(writer, command.process, inputs);
  add_variables(writer, "env", inputs.env);
  if (command.dry_run) writer.key("dry_run").boolean(true);
  return std::move(writer.end_object()).str();
}

int exit_status_of(json::Value result) {
  const std::string outcome = text_field(result, "outcome");
  if (outcome == "timed_out" || outcome == "cpu_timed_out") return kTimeLimit;
  const auto code = number_field(result, "exit_code");
  if (outcome == "lost" || outcome == "cancelled" || !code) return kOurFailure;
  return static_cast<int>(*code) & 0xff;
}

void note_end(json::Value result, Console& console) {
  const std::string outcome = text_field(result, "outcome");
  for (const OutcomeNote& entry : kOutcomeNotes) {
    if (entry.outcome == outcome) note(console, entry.text);
  }
  const std::string hint = text_field(result, "hint");
  if (!hint.empty()) note(console, hint);
}

}  // namespace lmsb::cli
