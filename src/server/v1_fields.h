#pragma once
// Fields that several /v1 requests share, read into control's requests. Types and forms are checked here, what is
// allowed is decided in control. Everything wrong becomes a fault of the reader's list.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/control.h"
#include "control/process_service.h"
#include "http/message.h"
#include "json/reader.h"
#include "json/writer.h"
#include "network/egress.h"

namespace lmsb::server {

// Whether timeout_ms may be 0, which means none.
enum class NoTimeout : std::uint8_t { refused, allowed };
// cmd, shell, env, cwd, user, stdin, merge_stderr, timeout_ms.
void read_command(json::ObjectReader& reader, control::Command& out, NoTimeout no_timeout = NoTimeout::refused);
// pty: {"cols","rows"}.
void read_terminal(json::ObjectReader& reader, std::optional<control::TerminalSize>& out);
// Its two fields; what is not said stays.
void read_terminal_size(json::ObjectReader& reader, control::TerminalSize& out);
// runtime: what there is may be asked for, what is still to come is a fault that says so.
void read_runtime(json::ObjectReader& reader);
// `egress`: {"mode","allow"}; a list without a mode is an allowlist. Whether the field was there.
bool read_egress(json::ObjectReader& reader, network::Egress& out);
// profile: "user" or "root".
void read_profile(json::ObjectReader& reader, control::Profile& out);
// `models`: a list of names; `model_limits`: {"tokens","requests_per_minute"}.
// Names of devices of the machine.
void read_devices(json::ObjectReader& reader, std::vector<std::string>& out);
void read_models(json::ObjectReader& reader, control::ModelAccess& out);
// A fault "not yet" when the field is there.
void refuse_for_now(json::ObjectReader& reader, std::string_view name, std::string_view instead);
// A size in octets, from 1 to what every JSON reader keeps exactly.
void read_bytes(json::ObjectReader& reader, std::string_view name, std::optional<Bytes>& out);
// `limits`: what is named.
void read_limits(json::ObjectReader& reader, control::LimitChanges& out);
// A text that says something: "" is refused, and left out is what it is not.
void read_word(json::ObjectReader& reader, std::string_view name, std::string& out);
// `limits` of a command: cpu_ms, memory_bytes, file_bytes, open_files.
void read_command_limits(json::ObjectReader& reader, control::CommandLimits& out);
// `labels`: {"name": "value"}; null takes one away (RFC 7396).
void read_label_changes(json::ObjectReader& reader, std::map<std::string, std::optional<std::string>>& out);
// `volumes`: [{"volume","target","read_only"}].
void read_volumes(json::ObjectReader& reader, std::vector<control::VolumeRequest>& out);
// `mounts`: [{"token","target","read_only"}].
void read_mounts(json::ObjectReader& reader, std::vector<control::MountRequest>& out);
// `files`: {path: text or {"base64"}}.
void read_files(json::ObjectReader& reader, std::vector<control::File>& out);
// Text, or the octets of {"base64": ...}; nothing (and a fault) for anything else.
std::optional<std::string> read_data(json::Value value, json::Location at, json::Faults& faults);

// Octets as text where they are UTF-8, else as {"base64": ...}.
void write_data(json::Writer& out, std::string_view bytes);
// What clients of all APIs want of a model.
void write_model(json::Writer& out, const control::ModelInfo& model);
// Null where nobody keeps one.
void write_limits(json::Writer& out, const control::Limits& limits, control::LimitsKept kept);

// Reads a body as one object by `read`, and refuses fields that `read` did not ask for. Nothing when all is well.
std::optional<http::Response> read_body(const std::string& body, const std::function<void(json::ObjectReader&)>& read);

}  // namespace lmsb::server
