#pragma once
// SnapshotTable: what is known of each snapshot of a sandbox's disk, so that sandboxes can be made from it. As
// thread-bound as its Database.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/database.h"

namespace lmsb::store {

struct SnapshotRow {
  std::string id;
  std::string owner;
  std::string name;     // "" = none
  std::string sandbox;  // the id of the one that it was taken of
  std::string image;
  std::string image_digest;
  std::string created_at;  // RFC 3339
  std::string workdir;
  std::map<std::string, std::string> env;
  std::uint64_t memory_bytes = 0;  // the sandbox's limits then
  std::uint64_t disk_bytes = 0;
  std::uint32_t cpu_millis = 0;
  std::uint32_t processes = 0;
  std::uint64_t shm_bytes = 0;
  bool is_removed = false;  // its copy is to go, or has gone
};

class SnapshotTable {
 public:
  // `database` outlives it.
  explicit SnapshotTable(Database& database) : database_(&database) {}

  Status put(const SnapshotRow& row);
  // None of that id is fine.
  Status erase(const std::string& id);
  // In the order of their ids.
  Result<std::vector<SnapshotRow>> all();

 private:
  Database* database_;
};

}  // namespace lmsb::store
