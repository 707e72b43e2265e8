#pragma once
// SandboxTable: what is known of each kept sandbox with a disk, so that it can be started again, by whatever daemon.
// Who uses it decides what the values mean; here they are stored and found again. As thread-bound as its Database.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/database.h"

namespace lmsb::store {

struct SandboxRow {
  std::string id;
  std::string owner;
  std::string name;  // "" = none
  std::string image;
  std::string image_digest;
  std::string created_at;  // RFC 3339
  std::string workdir;
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> labels;
  std::uint64_t memory_bytes = 0;
  std::uint64_t disk_bytes = 0;
  std::uint32_t cpu_millis = 0;
  std::uint32_t processes = 0;
  std::int64_t timeout_ms = 0;
  std::int64_t idle_ms = 0;
  std::string at_timeout;
  std::string at_idle;
  std::optional<std::int64_t> ends_at_ms;  // when its timeout is over, since 1970
  bool has_mounts = false;                 // directories of the machine, which it cannot have again by itself
  bool is_removed = false;                 // its removal has begun: what is left of it is to go
  std::string state = "stopped";           // that it was last in
  std::uint32_t processes_at_start = 0;    // their limit when it was last started
  std::map<std::string, std::string>
      volumes;                  // by where they are inside: their ids, and ":ro" behind those not written
  std::string egress = "none";  // its mode, and what it allows, each behind a space
  std::string profile = "user";
  std::map<std::string, std::string> models;  // which, how much of them, and what it has used; none = it has none
  std::uint64_t shm_bytes = 0;
};

class SandboxTable {
 public:
  // `database` outlives it.
  explicit SandboxTable(Database& database) : database_(&database) {}

  // In place of the row of that id, if there is one.
  Status put(const SandboxRow& row);
  // None of that id is fine.
  Status erase(const std::string& id);
  // In the order of their ids.
  Result<std::vector<SandboxRow>> all();

 private:
  Database* database_;
};

}  // namespace lmsb::store
