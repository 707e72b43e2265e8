#include "store/key_table.h"

#include <utility>

#include "store/packed_map.h"

namespace lmsb::store {
namespace {

// As many parameters as the table has columns.
constexpr const char* kPut = "INSERT OR REPLACE INTO keys VALUES (?,?,?,?,?,?,?,?,?,?,?)";

Result<KeyRow> read_row(Statement& from) {
  KeyRow row;
  for (std::string* text : {&row.id, &row.name, &row.digest, &row.created_at, &row.created_by, &row.scopes})
    *text = from.text();
  LMSB_TRY(row.labels, from.map());
  LMSB_TRY(row.quota, from.map());
  row.expires_at = from.text();
  row.expires_at_ms = from.number();
  row.used_at = from.text();
  return row;
}

}  // namespace

Status KeyTable::put(const KeyRow& row) {
  LMSB_TRY(Statement put, database_->prepare(kPut));
  for (const std::string* text : {&row.id, &row.name, &row.digest, &row.created_at, &row.created_by, &row.scopes})
    put.bind(*text);
  put.bind(pack(row.labels)).bind(pack(row.quota));
  put.bind(row.expires_at).bind(row.expires_at_ms).bind(row.used_at);
  return put.finish();
}

Status KeyTable::note_use(const std::string& id, const std::string& used_at) {
  LMSB_TRY(Statement note, database_->prepare("UPDATE keys SET used_at = ? WHERE id = ?"));
  return note.bind(used_at).bind(id).finish();
}

Status KeyTable::erase(const std::string& id) {
  LMSB_TRY(Statement erase, database_->prepare("DELETE FROM keys WHERE id = ?"));
  return erase.bind(id).finish();
}

Result<std::vector<KeyRow>> KeyTable::all() { return all_of(*database_, "SELECT * FROM keys ORDER BY id", read_row); }

}  // namespace lmsb::store
