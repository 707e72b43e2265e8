#pragma once
// KeyTable: what is known of each API key: all but the key itself, of which there is a digest. As thread-bound as its
// Database.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/database.h"

namespace lmsb::store {

struct KeyRow {
  std::string id;
  std::string name;
  std::string digest;      // SHA-256 of the key, 64 hexadecimal digits
  std::string created_at;  // RFC 3339, as the other times
  std::string created_by;
  std::string scopes;  // "write,models"
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> quota;  // "sandboxes": "10"
  std::string expires_at;                    // "" = never
  std::int64_t expires_at_ms = 0;            // since 1970
  std::string used_at;                       // "" = not yet
};

class KeyTable {
 public:
  // `database` outlives it.
  explicit KeyTable(Database& database) : database_(&database) {}

  // In place of the row of that id, if there is one.
  Status put(const KeyRow& row);
  // When it was used last; of one that is gone nothing happens.
  Status note_use(const std::string& id, const std::string& used_at);
  // None of that id is fine.
  Status erase(const std::string& id);
  // In the order of their ids.
  Result<std::vector<KeyRow>> all();

 private:
  Database* database_;
};

}  // namespace lmsb::store
