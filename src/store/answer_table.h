#pragma once
// AnswerTable: what was answered to requests with an Idempotency-Key, so that a later daemon answers the same. As
// thread-bound as its Database.
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/database.h"

namespace lmsb::store {

struct AnswerRow {
  std::string owner;
  std::string key;              // each owner has keys of his own
  std::string request;          // SHA-256 of what was asked, 64 hexadecimal digits
  std::int64_t made_at_ms = 0;  // since 1970
  std::string made;             // the id of what was made; "" = several
  std::string body;
};

class AnswerTable {
 public:
  // `database` outlives it.
  explicit AnswerTable(Database& database) : database_(&database) {}

  // In place of the row of that owner and key, if there is one.
  Status put(const AnswerRow& row);
  // None is fine, of each.
  Status erase(const std::string& owner, const std::string& key);
  Status erase_of(const std::string& made);
  Status erase_before(std::int64_t made_at_ms);
  // The oldest first.
  Result<std::vector<AnswerRow>> all();

 private:
  Database* database_;
};

}  // namespace lmsb::store
