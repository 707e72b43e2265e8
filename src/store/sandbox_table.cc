#include "store/sandbox_table.h"

#include <utility>

#include "store/packed_map.h"

namespace lmsb::store {
namespace {

// As many parameters as the table has columns.
constexpr const char* kPut =
    "INSERT OR REPLACE INTO sandboxes VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

std::int64_t signed_of(std::uint64_t number) { return static_cast<std::int64_t>(number); }

Result<SandboxRow> read_row(Statement& from) {
  SandboxRow row;
  for (std::string* text :
       {&row.id, &row.owner, &row.name, &row.image, &row.image_digest, &row.created_at, &row.workdir})
    *text = from.text();
  LMSB_TRY(row.env, from.map());
  LMSB_TRY(row.labels, from.map());
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
  row.is_removed = from.number() != 0;
  row.state = from.text();
  row.processes_at_start = small();
  LMSB_TRY(row.volumes, from.map());
  row.egress = from.text();
  row.profile = from.text();
  LMSB_TRY(row.models, from.map());
  row.shm_bytes = static_cast<std::uint64_t>(from.number());
  return row;
}

}  // namespace

Status SandboxTable::put(const SandboxRow& row) {
  LMSB_TRY(Statement put, database_->prepare(kPut));
  for (const std::string* text :
       {&row.id, &row.owner, &row.name, &row.image, &row.image_digest, &row.created_at, &row.workdir})
    put.bind(*text);
  put.bind(pack(row.env)).bind(pack(row.labels));
  put.bind(signed_of(row.memory_bytes)).bind(signed_of(row.disk_bytes));
  put.bind(row.cpu_millis).bind(row.processes);
  put.bind(row.timeout_ms).bind(row.idle_ms).bind(row.at_timeout).bind(row.at_idle);
  row.ends_at_ms ? put.bind(*row.ends_at_ms) : put.bind_null();
  put.bind(std::int64_t{row.has_mounts}).bind(std::int64_t{row.is_removed});
  put.bind(row.state).bind(row.processes_at_start).bind(pack(row.volumes)).bind(row.egress).bind(row.profile);
  put.bind(pack(row.models)).bind(signed_of(row.shm_bytes));
  return put.finish();
}

Status SandboxTable::erase(const std::string& id) {
  LMSB_TRY(Statement erase, database_->prepare("DELETE FROM sandboxes WHERE id = ?"));
  return erase.bind(id).finish();
}

Result<std::vector<SandboxRow>> SandboxTable::all() {
  return all_of(*database_, "SELECT * FROM sandboxes ORDER BY id", read_row);
}

}  // namespace lmsb::store
