#pragma once
// VolumeTable: what is known of each volume, so that sandboxes can have it again. As thread-bound as its Database.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/database.h"

namespace lmsb::store {

struct VolumeRow {
  std::string id;
  std::string owner;
  std::string name;
  std::string created_at;  // RFC 3339
  std::map<std::string, std::string> labels;
  std::uint64_t size_bytes = 0;
  bool is_removed = false;  // its removal has begun: what is left of it is to go
};

class VolumeTable {
 public:
  // `database` outlives it.
  explicit VolumeTable(Database& database) : database_(&database) {}

  // In place of the row of that id, if there is one.
  Status put(const VolumeRow& row);
  // None of that id is fine.
  Status erase(const std::string& id);
  // In the order of their ids.
  Result<std::vector<VolumeRow>> all();

 private:
  Database* database_;
};

}  // namespace lmsb::store
