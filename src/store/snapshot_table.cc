#include "store/snapshot_table.h"

#include <utility>

#include "store/packed_map.h"

namespace lmsb::store {
namespace {

// As many parameters as the table has columns.
constexpr const char* kPut = "INSERT OR REPLACE INTO snapshots VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

Result<SnapshotRow> read_row(Statement& from) {
  SnapshotRow row;
  for (std::string* text :
       {&row.id, &row.owner, &row.name, &row.sandbox, &row.image, &row.image_digest, &row.created_at, &row.workdir})
    *text = from.text();
  LMSB_TRY(row.env, from.map());
  row.memory_bytes = static_cast<std::uint64_t>(from.number());
  row.disk_bytes = static_cast<std::uint64_t>(from.number());
  row.cpu_millis = static_cast<std::uint32_t>(from.number());
  row.processes = static_cast<std::uint32_t>(from.number());
  row.is_removed = from.number() != 0;
  row.shm_bytes = static_cast<std::uint64_t>(from.number());
  return row;
}

}  // namespace

Status SnapshotTable::put(const SnapshotRow& row) {
  LMSB_TRY(Statement put, database_->prepare(kPut));
  for (const std::string* text :
       {&row.id, &row.owner, &row.name, &row.sandbox, &row.image, &row.image_digest, &row.created_at, &row.workdir})
    put.bind(*text);
  put.bind(pack(row.env));
  put.bind(static_cast<std::int64_t>(row.memory_bytes)).bind(static_cast<std::int64_t>(row.disk_bytes));
  put.bind(row.cpu_millis).bind(row.processes).bind(std::int64_t{row.is_removed});
  put.bind(static_cast<std::int64_t>(row.shm_bytes));
  return put.finish();
}

Status SnapshotTable::erase(const std::string& id) {
  LMSB_TRY(Statement erase, database_->prepare("DELETE FROM snapshots WHERE id = ?"));
  return erase.bind(id).finish();
}

Result<std::vector<SnapshotRow>> SnapshotTable::all() {
  return all_of(*database_, "SELECT * FROM snapshots ORDER BY id", read_row);
}

}  // namespace lmsb::store
