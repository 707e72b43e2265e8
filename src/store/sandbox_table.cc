#include "store/sandbox_table.h"

#include <array>
#include <charconv>
#include <utility>

namespace lmsb::store {
namespace {

constexpr std::array kMigrations = {
    "CREATE TABLE sandboxes ("
    " id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, image TEXT NOT NULL, image_digest TEXT NOT NULL,"
    " created_at TEXT NOT NULL, workdir TEXT NOT NULL, env BLOB NOT NULL, labels BLOB NOT NULL,"
    " memory_bytes INTEGER NOT NULL, disk_bytes INTEGER NOT NULL, cpu_millis INTEGER NOT NULL,"
    " processes INTEGER NOT NULL, timeout_ms INTEGER NOT NULL, idle_ms INTEGER NOT NULL,"
    " at_timeout TEXT NOT NULL, at_idle TEXT NOT NULL, ends_at_ms INTEGER, has_mounts INTEGER NOT NULL,"
    " is_lost INTEGER NOT NULL) WITHOUT ROWID;"};

// As many parameters as the table has columns.
constexpr const char* kPut = "INSERT OR REPLACE INTO sandboxes VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

std::int64_t signed_of(std::uint64_t number) { return static_cast<std::int64_t>(number); }

void add(std::string& packed, const std::string& text) { packed += std::to_string(text.size()) + ":" + text; }

std::optional<std::string> take(std::string_view& octets) {
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(octets.data(), octets.data() + octets.size(), size);
  if (error != std::errc() || end == octets.data() + octets.size() || *end != ':') return std::nullopt;
  octets.remove_prefix(static_cast<std::size_t>(end - octets.data()) + 1);
  if (size > octets.size()) return std::nullopt;
  std::string text(octets.substr(0, size));
  octets.remove_prefix(size);
  return text;
}

Result<std::map<std::string, std::string>> read_map(Statement& row, const std::string& id) {
  auto map = unpack(row.text());
  if (map) return *std::move(map);
  return Error(ErrorCode::failed_precondition, "the row of sandbox " + id + " is damaged")
      .with_slug("database_damaged");
}

Result<SandboxRow> read_row(Statement& from) {
  SandboxRow row;
  for (std::string* text :
       {&row.id, &row.owner, &row.name, &row.image, &row.image_digest, &row.created_at, &row.workdir})
    *text = from.text();
  LMSB_TRY(row.env, read_map(from, row.id));
  LMSB_TRY(row.labels, read_map(from, row.id));
  const auto small = [&from] { return static_cast<std::uint32_t>(from.number()); };
  row.memory_bytes = static_cast<std::uint64_t>(from.number());
  row.disk_bytes = static_cast<std::uint64_t>(from.number());
  row.cpu_millis = small();
  row.processes = small();
  row.timeout_ms = from.number();
  row.idle_ms = from.number();
  row.at_timeout = from.text();
  row.at_idle = from.text();
  const bool ends = !from.is_null();
  const std::int64_t ends_at = from.number();
  if (ends) row.ends_at_ms = ends_at;
  row.has_mounts = from.number() != 0;
  row.is_lost = from.number() != 0;
  return row;
}

}  // namespace

Result<SandboxTable> SandboxTable::open(const std::string& path) {
  LMSB_TRY(Database database, Database::open(path, kMigrations));
  return SandboxTable(std::move(database));
}

Status SandboxTable::put(const SandboxRow& row) {
  LMSB_TRY(Statement put, database_.prepare(kPut));
  for (const std::string* text :
       {&row.id, &row.owner, &row.name, &row.image, &row.image_digest, &row.created_at, &row.workdir})
    put.bind(*text);
  put.bind(pack(row.env)).bind(pack(row.labels));
  put.bind(signed_of(row.memory_bytes)).bind(signed_of(row.disk_bytes));
  put.bind(row.cpu_millis).bind(row.processes);
  put.bind(row.timeout_ms).bind(row.idle_ms).bind(row.at_timeout).bind(row.at_idle);
  row.ends_at_ms ? put.bind(*row.ends_at_ms) : put.bind_null();
  put.bind(std::int64_t{row.has_mounts}).bind(std::int64_t{row.is_lost});
  return put.finish();
}

Status SandboxTable::erase(const std::string& id) {
  LMSB_TRY(Statement erase, database_.prepare("DELETE FROM sandboxes WHERE id = ?"));
  return erase.bind(id).finish();
}

Result<std::vector<SandboxRow>> SandboxTable::all() {
  LMSB_TRY(Statement rows, database_.prepare("SELECT * FROM sandboxes ORDER BY id"));
  std::vector<SandboxRow> all;
  LMSB_TRY(bool more, rows.step());
  while (more) {
    LMSB_TRY(all.emplace_back(), read_row(rows));
    LMSB_TRY(more, rows.step());
  }
  return all;
}

std::string pack(const std::map<std::string, std::string>& map) {
  std::string packed;
  for (const auto& [name, value] : map) {
    add(packed, name);
    add(packed, value);
  }
  return packed;
}

std::optional<std::map<std::string, std::string>> unpack(std::string_view octets) {
  std::map<std::string, std::string> map;
  while (!octets.empty()) {
    auto name = take(octets);
    auto value = take(octets);
    if (!name || !value) return std::nullopt;
    map[*std::move(name)] = *std::move(value);
  }
  return map;
}

}  // namespace lmsb::store
