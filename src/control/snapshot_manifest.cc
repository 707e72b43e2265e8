#include "control/snapshot_manifest.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "json/reader.h"
#include "json/writer.h"

namespace lmsb::control {
namespace {

constexpr std::string_view kMagic = "\x5e\x2a\x4d\x18";
constexpr std::string_view kWords = "lm-sandbox-snapshot ";
constexpr std::string_view kVersion = "1 ";
constexpr std::size_t kSumDigits = 8;
constexpr std::size_t kMaxText = 4096;  // of a name, a path, a digest
constexpr std::size_t kMaxVariables = 2048;
constexpr std::size_t kMaxEnvironment = 384U << 10U;  // octets of them all

Error not_a_snapshot() {
  return Error(ErrorCode::invalid_argument, "this is not the file of a snapshot")
      .with_slug("not_a_snapshot")
      .with_hint("such files are made by lm-sandbox snapshot export");
}

// The one of zlib and of Ethernet.
std::uint32_t crc32(std::string_view octets) {
  std::uint32_t sum = ~std::uint32_t{0};
  for (const char octet : octets) {
    sum ^= static_cast<unsigned char>(octet);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1U ^ ((sum & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return ~sum;
}

std::string sum_of(std::string_view json) {
  std::array<char, kSumDigits + 1> digits{};
  std::snprintf(digits.data(), digits.size(), "%08x", crc32(json));
  return digits.data();
}

std::string json_of(const SnapshotManifest& manifest) {
  json::Writer out;
  out.begin_object().key("id").string(manifest.id).key("name").string(manifest.name);
  out.key("sandbox_id").string(manifest.sandbox).key("created_at").string(manifest.created_at);
  out.key("image").string(manifest.image).key("image_digest").string(manifest.image_digest);
  out.key("workdir").string(manifest.workdir).key("env").begin_object();
  for (const auto& [name, value] : manifest.env) out.key(name).string(value);
  out.end_object().key("limits").begin_object();
  out.key("memory_bytes").unsigned_integer(manifest.limits.memory.count());
  out.key("cpu_millis").unsigned_integer(manifest.limits.cpu_millis);
  out.key("processes").unsigned_integer(manifest.limits.processes);
  out.key("disk_bytes").unsigned_integer(manifest.limits.disk.count());
  // Earlier versions know none, and read no field that they do not know.
  if (manifest.limits.shm != sandbox::Limits().shm) out.key("shm_bytes").unsigned_integer(manifest.limits.shm.count());
  out.end_object().end_object();
  return std::move(out).str();
}

void read_limits(json::ObjectReader& reader, sandbox::Limits& limits) {
  std::array<std::int64_t, 4> numbers{};
  constexpr std::array<std::string_view, 4> kNames = {"memory_bytes", "cpu_millis", "processes", "disk_bytes"};
  for (std::size_t i = 0; i < kNames.size(); ++i)
    reader.integer(kNames[i], numbers[i], 0, i == 1 || i == 2 ? INT32_MAX : INT64_MAX, json::Need::required);
  limits = {Bytes(static_cast<std::uint64_t>(numbers[0])), static_cast<std::uint32_t>(numbers[1]),
            static_cast<std::uint32_t>(numbers[2]), Bytes(static_cast<std::uint64_t>(numbers[3]))};
  std::int64_t shm = 0;
  if (reader.integer("shm_bytes", shm, 0, INT64_MAX)) limits.shm = Bytes(static_cast<std::uint64_t>(shm));
}

bool is_sane(const SnapshotManifest& m) {
  const auto is_text = [](const std::string& text) {
    return text.size() <= kMaxText && text.find('\0') == std::string::npos;
  };
  for (const std::string* text : {&m.id, &m.name, &m.sandbox, &m.created_at, &m.image, &m.image_digest, &m.workdir})
    if (!is_text(*text)) return false;
  if (!can_be_read(m)) return false;
  for (const auto& [name, value] : m.env)
    if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos ||
        value.find('\0') != std::string::npos)
      return false;
  return !m.image.empty() && m.workdir.starts_with('/') && sandbox::check_bounds(m.limits).ok();
}

}  // namespace

Error snapshot_damaged(const std::string& what) {
  return Error(ErrorCode::invalid_argument, "the file of the snapshot is damaged")
      .with_cause(what)
      .with_slug("snapshot_damaged")
      .with_hint("export it again, and compare the sizes after copying");
}

bool can_be_read(const SnapshotManifest& manifest) {
  std::size_t octets = 0;
  for (const auto& [name, value] : manifest.env) octets += name.size() + value.size() + 2;
  return manifest.env.size() <= kMaxVariables && octets <= kMaxEnvironment &&
         json_of(manifest).size() + 64 <= kMaxManifest;
}

std::string format_manifest(const SnapshotManifest& manifest) {
  const std::string json = json_of(manifest);
  const std::string text = std::string(kWords) + std::string(kVersion) + sum_of(json) + "\n" + json;
  std::string frame(kMagic);
  for (unsigned shift = 0; shift < 32; shift += 8) frame += static_cast<char>(text.size() >> shift & 0xffU);
  return frame + text;
}

Result<std::size_t> manifest_size(std::string_view head) {
  if (head.size() < kManifestHead || !head.starts_with(kMagic)) return not_a_snapshot();
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i)
    size |= std::size_t{static_cast<unsigned char>(head[kMagic.size() + i])} << (8 * i);
  if (size > kMaxManifest) return not_a_snapshot();
  return size;
}

Result<SnapshotManifest> parse_manifest(std::string_view text) {
  if (!text.starts_with(kWords)) return not_a_snapshot();
  text.remove_prefix(kWords.size());
  if (!text.starts_with(kVersion))
    return Error(ErrorCode::invalid_argument, "the snapshot's file is of another version of its format")
        .with_slug("snapshot_version_unknown")
        .with_hint("import it with the version of lm-sandbox that exported it, or a newer one");
  text.remove_prefix(kVersion.size());
  if (text.size() <= kSumDigits || text[kSumDigits] != '\n') return snapshot_damaged("its beginning");
  const std::string_view json = text.substr(kSumDigits + 1);
  if (text.substr(0, kSumDigits) != sum_of(json)) return snapshot_damaged("its beginning");
  json::ParseFault fault;
  const auto document = json::Document::parse(json, fault);
  if (!document) return snapshot_damaged("its beginning");
  SnapshotManifest manifest;
  json::Faults faults;
  json::ObjectReader reader(document->root(), faults);
  reader.string("id", manifest.id, json::Need::required);
  reader.string("name", manifest.name);
  reader.string("sandbox_id", manifest.sandbox, json::Need::required);
  reader.string("created_at", manifest.created_at, json::Need::required);
  reader.string("image", manifest.image, json::Need::required);
  reader.string("image_digest", manifest.image_digest, json::Need::required);
  reader.string("workdir", manifest.workdir, json::Need::required);
  reader.string_map("env", manifest.env, json::Need::required);
  reader.object(
      "limits", [&manifest](json::ObjectReader& limits) { read_limits(limits, manifest.limits); },
      json::Need::required);
  if (!faults.empty() || !is_sane(manifest)) return snapshot_damaged("what it says of the snapshot");
  return manifest;
}

}  // namespace lmsb::control
