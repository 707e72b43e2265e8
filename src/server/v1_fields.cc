#include "server/v1_fields.h"

#include <cmath>
#include <limits>

#include "base/text.h"
#include "server/answers.h"

namespace lmsb::server {
namespace {

constexpr std::int64_t kMaxWhole = 9'007'199'254'740'991;  // 2^53 - 1: what every JSON reader keeps exactly
constexpr std::int64_t kMaxTimeoutMs = 366LL * 24 * 3600 * 1000;
constexpr double kMaxCpus = 1'000'000;

void read_argv(json::ObjectReader& reader, json::Value list, control::Command& out) {
  control::Argv argv;
  for (const json::Value& item : list.items()) {
    const auto text = item.string();
    if (!text) return reader.refuse("cmd", "every item must be a string");
    argv.emplace_back(*text);
  }
  if (argv.empty()) return reader.refuse("cmd", "a list must name a program");
  out.cmd = std::move(argv);
}

void read_cmd_field(json::ObjectReader& reader, control::Command& out) {
  const auto cmd = reader.raw("cmd", json::Need::required);
  if (!cmd) return;
  if (const auto text = cmd->string()) {
    out.cmd = std::string(*text);
  } else if (cmd->kind() == json::Kind::array) {
    read_argv(reader, *cmd, out);
  } else {
    reader.refuse("cmd", "must be a string for the shell or a list of strings");
  }
}

void read_limit_fields(json::ObjectReader& reader, control::LimitChanges& out) {
  read_bytes(reader, "memory_bytes", out.memory);
  read_bytes(reader, "disk_bytes", out.disk);
  read_bytes(reader, "shm_bytes", out.shm);
  double cpus = 0;
  if (reader.number("cpus", cpus, 0.001, kMaxCpus))
    out.cpu_millis = static_cast<std::uint32_t>(std::lround(cpus * 1000));
  std::int64_t processes = 0;
  if (reader.integer("processes", processes, 1, std::numeric_limits<std::int32_t>::max())) {
    out.processes = static_cast<std::uint32_t>(processes);
  }
  reader.refuse_others();
}

// Paths are resolved inside the sandbox, by its guest; here only what can be none.
bool is_path(std::string_view path) {
  constexpr std::size_t kMaxPath = 4095;
  return !path.empty() && path.size() <= kMaxPath && path.find('\0') == std::string_view::npos;
}

constexpr std::size_t kMaxObjects = 64;  // each list has a bound of its own, below that

// A list of objects, each read by `read`; what it did not ask for is refused.
void read_objects(json::ObjectReader& reader, std::string_view name,
                  const std::function<void(json::ObjectReader&)>& read) {
  const auto list = reader.raw(name);
  if (!list) return;
  if (list->kind() != json::Kind::array) return reader.refuse(name, "must be a list", "list_type");
  if (list->items().size() > kMaxObjects) return reader.refuse(name, "has more than 64 entries", "too_long");
  std::int64_t index = 0;
  for (const json::Value& item : list->items()) {
    json::Location at = reader.at(name);
    at.emplace_back(index++);
    json::ObjectReader fields(item, reader.faults(), std::move(at));
    read(fields);
    fields.refuse_others();
  }
}

}  // namespace

void read_word(json::ObjectReader& reader, std::string_view name, std::string& out) {
  if (reader.string(name, out) && out.empty()) reader.refuse(name, "must not be empty: leave it out");
}

void read_bytes(json::ObjectReader& reader, std::string_view name, std::optional<Bytes>& out) {
  std::int64_t count = 0;
  if (reader.integer(name, count, 1, kMaxWhole)) out = Bytes(static_cast<std::uint64_t>(count));
}

void read_command(json::ObjectReader& reader, control::Command& out, NoTimeout no_timeout) {
  read_cmd_field(reader, out);
  reader.string("shell", out.shell);
  reader.string_map("env", out.env);
  reader.string("cwd", out.cwd);
  reader.string("user", out.user);
  if (const auto input = reader.raw("stdin")) {
    if (auto data = read_data(*input, reader.at("stdin"), reader.faults())) out.stdin_data = *std::move(data);
  }
  reader.boolean("merge_stderr", out.merge_stderr);
  std::int64_t timeout = 0;
  const std::int64_t least = no_timeout == NoTimeout::allowed ? 0 : 1;
  if (!reader.integer("timeout_ms", timeout, least, kMaxTimeoutMs)) return;
  out.timeout = std::chrono::milliseconds(timeout);
  out.asks_for_timeout = true;
}

void read_terminal(json::ObjectReader& reader, std::optional<control::TerminalSize>& out) {
  reader.object("pty", [&out](json::ObjectReader& fields) {
    read_terminal_size(fields, out.emplace());
    fields.refuse_others();
  });
}

void read_terminal_size(json::ObjectReader& reader, control::TerminalSize& out) {
  for (const auto& [name, place] : {std::pair("cols", &out.columns), std::pair("rows", &out.rows)}) {
    std::int64_t value = 0;
    if (reader.integer(name, value, 1, control::TerminalSize::kMax)) *place = static_cast<std::uint16_t>(value);
  }
}

void read_runtime(json::ObjectReader& reader) {
  std::string runtime;
  if (reader.string("runtime", runtime) && runtime != "native")
    reader.refuse("runtime", "not yet: " + quoted(runtime) + "; the runtime today is native");
}

bool read_egress(json::ObjectReader& reader, network::Egress& out) {
  bool found = false;
  reader.object("egress", [&](json::ObjectReader& fields) {
    found = true;
    out = {};
    std::string mode;
    const bool has_mode = fields.string("mode", mode);
    fields.strings("allow", out.allow);
    out.mode = out.allow.empty() ? network::Mode::none : network::Mode::allowlist;
    if (has_mode) {
      const auto parsed = network::parse_mode(mode);
      if (!parsed) fields.refuse("mode", "must be none, allowlist or open");
      out.mode = parsed.value_or(network::Mode::none);
    }
    if (const Status form = network::check_form(out); !form.ok()) fields.refuse("allow", form.error().message());
    fields.refuse_others();
  });
  return found;
}

void read_profile(json::ObjectReader& reader, control::Profile& out) {
  std::string text;
  if (!reader.string("profile", text)) return;
  const auto parsed = control::parse_profile(text);
  if (!parsed) return reader.refuse("profile", "must be user or root");
  out = *parsed;
}

void read_devices(json::ObjectReader& reader, std::vector<std::string>& out) { reader.strings("devices", out); }

void read_models(json::ObjectReader& reader, control::ModelAccess& out) {
  reader.strings("models", out.names);
  reader.object("model_limits", [&out](json::ObjectReader& fields) {
    std::int64_t value = 0;
    if (fields.integer("tokens", value, 1, kMaxWhole)) out.tokens = static_cast<std::uint64_t>(value);
    if (fields.integer("requests_per_minute", value, 1, 1'000'000))
      out.requests_per_minute = static_cast<std::uint32_t>(value);
    fields.refuse_others();
  });
}

void refuse_for_now(json::ObjectReader& reader, std::string_view name, std::string_view instead) {
  if (reader.raw(name)) reader.refuse(name, "not yet: " + std::string(instead));
}

void read_limits(json::ObjectReader& reader, control::LimitChanges& out) {
  reader.object("limits", [&out](json::ObjectReader& fields) { read_limit_fields(fields, out); });
}

// The kernel counts processor time by the second: a part of one is given whole.
void read_command_limits(json::ObjectReader& reader, control::CommandLimits& out) {
  reader.object("limits", [&out](json::ObjectReader& fields) {
    std::int64_t value = 0;
    constexpr std::int64_t kMostMs = std::int64_t{10} * 365 * 24 * 3600 * 1000;
    if (fields.integer("cpu_ms", value, 1, kMostMs)) out.cpu = std::chrono::seconds((value + 999) / 1000);
    read_bytes(fields, "memory_bytes", out.memory);
    read_bytes(fields, "file_bytes", out.file);
    if (fields.integer("open_files", value, 4, 1'048'576)) out.open_files = static_cast<std::uint32_t>(value);
    fields.refuse_others();
  });
}

void read_label_changes(json::ObjectReader& reader, std::map<std::string, std::optional<std::string>>& out) {
  const auto labels = reader.raw("labels");
  if (!labels) return;
  if (labels->kind() != json::Kind::object) return reader.refuse("labels", "must be an object", "dict_type");
  for (const auto& [name, value] : labels->members()) {
    const auto text = value.string();
    if (!text && value.kind() != json::Kind::null)
      return reader.refuse("labels", "values are strings, or null to take one away", "string_type");
    out[std::string(name)] = text ? std::optional<std::string>(*text) : std::nullopt;
  }
}

void read_mounts(json::ObjectReader& reader, std::vector<control::MountRequest>& out) {
  read_objects(reader, "mounts", [&out](json::ObjectReader& fields) {
    control::MountRequest mount;
    fields.string("token", mount.token, json::Need::required);
    fields.string("target", mount.target, json::Need::required);
    fields.boolean("read_only", mount.read_only);
    out.push_back(std::move(mount));
  });
}

void read_volumes(json::ObjectReader& reader, std::vector<control::VolumeRequest>& out) {
  read_objects(reader, "volumes", [&out](json::ObjectReader& fields) {
    control::VolumeRequest volume;
    fields.string("volume", volume.volume, json::Need::required);
    fields.string("target", volume.target, json::Need::required);
    fields.boolean("read_only", volume.read_only);
    out.push_back(std::move(volume));
  });
}

void read_files(json::ObjectReader& reader, std::vector<control::File>& out) {
  const auto files = reader.raw("files");
  if (!files) return;
  if (files->kind() != json::Kind::object) return reader.refuse("files", "must be an object of paths", "dict_type");
  for (const auto& [path, content] : files->members()) {
    json::Location at = reader.at("files");
    at.emplace_back(std::string(path));
    if (!is_path(path)) {
      reader.faults().push_back(
          {"value_error", std::move(at), "must be a path of 1 to 4095 bytes without NUL", "null"});
      continue;
    }
    if (auto data = read_data(content, std::move(at), reader.faults()))
      out.push_back({std::string(path), *std::move(data)});
  }
}

std::optional<std::string> read_data(json::Value value, json::Location at, json::Faults& faults) {
  if (const auto text = value.string()) return std::string(*text);
  if (value.kind() != json::Kind::object) {
    faults.push_back({"string_type", std::move(at), R"(must be text or {"base64": "..."})", "null"});
    return std::nullopt;
  }
  const std::size_t before = faults.size();
  json::ObjectReader reader(value, faults, at);
  std::string encoded;
  reader.string("base64", encoded, json::Need::required);
  reader.refuse_others();
  if (faults.size() != before) return std::nullopt;
  auto decoded = base64_decode(encoded);
  if (!decoded) faults.push_back({"value_error", reader.at("base64"), "is not base64 with padding (RFC 4648)", "null"});
  return decoded;
}

void write_data(json::Writer& out, std::string_view bytes) {
  if (is_utf8(bytes)) {
    out.string(bytes);
  } else {
    out.begin_object().key("base64").string(base64_encode(bytes)).end_object();
  }
}

void write_limits(json::Writer& out, const control::Limits& limits, control::LimitsKept kept) {
  out.begin_object().key("memory_bytes");
  kept.memory ? out.unsigned_integer(limits.memory.count()) : out.null();
  out.key("cpus");
  kept.cpus ? out.number(limits.cpu_millis / 1000.0) : out.null();
  out.key("processes").unsigned_integer(limits.processes);
  out.key("disk_bytes").unsigned_integer(limits.disk.count());
  out.key("shm_bytes").unsigned_integer(limits.shm.count()).end_object();
}

std::optional<http::Response> read_body(const std::string& body, const std::function<void(json::ObjectReader&)>& read) {
  json::ParseFault fault;
  const auto document = json::Document::parse(body, fault);
  if (!document) return error_answer(Dialect::v1, invalid_json(body, fault));
  json::Faults faults;
  json::ObjectReader reader(document->root(), faults);
  read(reader);
  reader.refuse_others();
  if (faults.empty()) return std::nullopt;
  return invalid_answer(faults);
}

}  // namespace lmsb::server
