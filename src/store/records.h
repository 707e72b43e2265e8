#pragma once
// Records: the daemon's database: a table for each kind of thing that outlives it. As thread-bound as its Database.
#include <memory>
#include <string>

#include "base/result.h"
#include "store/database.h"
#include "store/key_table.h"
#include "store/sandbox_table.h"
#include "store/snapshot_table.h"
#include "store/volume_table.h"

namespace lmsb::store {

class Records {
 public:
  // Errors: those of Database::open().
  static Result<std::unique_ptr<Records>> open(const std::string& path);
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;

  // Whether there was no database yet.
  bool is_new() const { return database_.is_new(); }
  SandboxTable& sandboxes() { return sandboxes_; }
  SnapshotTable& snapshots() { return snapshots_; }
  VolumeTable& volumes() { return volumes_; }
  KeyTable& keys() { return keys_; }

 private:
  explicit Records(Database database)
      : database_(std::move(database)),
        sandboxes_(database_),
        snapshots_(database_),
        volumes_(database_),
        keys_(database_) {}

  Database database_;
  SandboxTable sandboxes_;
  SnapshotTable snapshots_;
  VolumeTable volumes_;
  KeyTable keys_;
};

}  // namespace lmsb::store
