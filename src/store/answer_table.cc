#include "store/answer_table.h"

namespace lmsb::store {
namespace {

Result<AnswerRow> read_row(Statement& from) {
  AnswerRow row;
  row.owner = from.text();
  row.key = from.text();
  row.request = from.text();
  row.made_at_ms = from.number();
  row.made = from.text();
  row.body = from.text();
  return row;
}

}  // namespace

Status AnswerTable::put(const AnswerRow& row) {
  LMSB_TRY(Statement put, database_->prepare("INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?)"));
  put.bind(row.owner).bind(row.key).bind(row.request).bind(row.made_at_ms).bind(row.made).bind(row.body);
  return put.finish();
}

Status AnswerTable::erase(const std::string& owner, const std::string& key) {
  LMSB_TRY(Statement erase, database_->prepare("DELETE FROM answers WHERE owner = ? AND key = ?"));
  return erase.bind(owner).bind(key).finish();
}

Status AnswerTable::erase_of(const std::string& made) {
  LMSB_TRY(Statement erase, database_->prepare("DELETE FROM answers WHERE made = ?"));
  return erase.bind(made).finish();
}

Status AnswerTable::erase_before(std::int64_t made_at_ms) {
  LMSB_TRY(Statement erase, database_->prepare("DELETE FROM answers WHERE made_at_ms < ?"));
  return erase.bind(made_at_ms).finish();
}

Result<std::vector<AnswerRow>> AnswerTable::all() {
  return all_of(*database_, "SELECT * FROM answers ORDER BY made_at_ms, owner, key", read_row);
}

}  // namespace lmsb::store
