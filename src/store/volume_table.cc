#include "store/volume_table.h"

#include <utility>

#include "store/packed_map.h"

namespace lmsb::store {
namespace {

// As many parameters as the table has columns.
constexpr const char* kPut = "INSERT OR REPLACE INTO volumes VALUES (?,?,?,?,?,?,?)";

Result<VolumeRow> read_row(Statement& from) {
  VolumeRow row;
  for (std::string* text : {&row.id, &row.owner, &row.name, &row.created_at}) *text = from.text();
  LMSB_TRY(row.labels, from.map());
  row.size_bytes = static_cast<std::uint64_t>(from.number());
  row.is_removed = from.number() != 0;
  return row;
}

}  // namespace

Status VolumeTable::put(const VolumeRow& row) {
  LMSB_TRY(Statement put, database_->prepare(kPut));
  for (const std::string* text : {&row.id, &row.owner, &row.name, &row.created_at}) put.bind(*text);
  put.bind(pack(row.labels)).bind(static_cast<std::int64_t>(row.size_bytes)).bind(std::int64_t{row.is_removed});
  return put.finish();
}

Status VolumeTable::erase(const std::string& id) {
  LMSB_TRY(Statement erase, database_->prepare("DELETE FROM volumes WHERE id = ?"));
  return erase.bind(id).finish();
}

Result<std::vector<VolumeRow>> VolumeTable::all() {
  return all_of(*database_, "SELECT * FROM volumes ORDER BY id", read_row);
}

}  // namespace lmsb::store
