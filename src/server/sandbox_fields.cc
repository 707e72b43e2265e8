#include "server/sandbox_fields.h"

#include "server/answers.h"
#include "server/v1_fields.h"

namespace lmsb::server {
namespace {

using std::chrono::milliseconds;

// Control says what is too long.
void read_duration(json::ObjectReader& reader, std::string_view name, std::optional<milliseconds>& out) {
  std::int64_t value = 0;
  if (reader.integer(name, value, 0, INT64_MAX / 1'000'000)) out = milliseconds(value);
}

void read_at_limit(json::ObjectReader& reader, std::string_view name, std::optional<control::AtLimit>& out) {
  std::string text;
  if (!reader.string(name, text)) return;
  out = control::parse_at_limit(text);
  if (!out) reader.refuse(name, "must be delete, pause or stop");
}

void write_bound(json::Writer& out, std::uint64_t bound) {
  bound == 0 ? void(out.null()) : void(out.unsigned_integer(bound));
}

void write_model_limits(json::Writer& out, const control::ModelAccess& models) {
  out.begin_object();
  write_bound(out.key("tokens"), models.tokens);
  write_bound(out.key("requests_per_minute"), models.requests_per_minute);
  out.end_object();
}

void write_mounted(json::Writer& out, const control::MountedVolume& volume) {
  out.begin_object().key("volume").string(volume.id);
  string_or_null(out.key("name"), volume.name);
  out.key("target").string(volume.target).key("read_only").boolean(volume.read_only).end_object();
}

}  // namespace

void write_sandbox(json::Writer& out, const control::SandboxInfo& info) {
  out.begin_object().key("id").string(info.id);
  string_or_null(out.key("name"), info.name);
  out.key("image").string(info.image).key("image_digest").string(info.image_digest);
  out.key("runtime").string(info.runtime).key("state").string(to_string(info.state));
  out.key("created_at").string(info.created_at);
  string_or_null(out.key("expires_at"), info.expires_at.value_or(""));
  out.key("timeout_ms").integer(info.life.timeout.count()).key("idle_ms").integer(info.life.idle.count());
  out.key("on_timeout").string(to_string(info.life.at_timeout)).key("on_idle").string(to_string(info.life.at_idle));
  out.key("labels").begin_object();
  for (const auto& [key, value] : info.labels) out.key(key).string(value);
  out.end_object();
  write_limits(out.key("limits"), info.limits, info.limits_kept);
  out.key("volumes").begin_array();
  for (const control::MountedVolume& volume : info.volumes) write_mounted(out, volume);
  out.end_array();
  write_egress(out.key("egress"), info.egress);
  write_texts(out.key("models"), info.models.names);
  write_model_limits(out.key("model_limits"), info.models);
  write_texts(out.key("devices"), info.devices);
  out.key("profile").string(control::to_string(info.profile));
  out.key("keeps_disk").boolean(info.keeps_disk);
  write_texts(out.key("isolation"), info.isolation);
  out.end_object();
}

void write_egress(json::Writer& out, const network::Egress& egress) {
  out.begin_object().key("mode").string(network::to_string(egress.mode));
  write_texts(out.key("allow"), egress.allow);
  out.end_object();
}

std::string sandbox_text(const control::SandboxInfo& info) {
  json::Writer out;
  write_sandbox(out, info);
  return std::move(out).str();
}

void read_life(json::ObjectReader& reader, control::LifeChanges& out) {
  read_duration(reader, "timeout_ms", out.timeout);
  read_duration(reader, "idle_ms", out.idle);
  read_at_limit(reader, "on_timeout", out.at_timeout);
  read_at_limit(reader, "on_idle", out.at_idle);
}

}  // namespace lmsb::server
