#pragma once
// Records: the daemon's database: a table for each kind of thing that outlives it. As thread-bound as its Database.
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "store/answer_table.h"
#include "store/database.h"
#include "store/key_table.h"
#include "store/reserve.h"
#include "store/sandbox_table.h"
#include "store/snapshot_table.h"
#include "store/volume_table.h"

namespace lmsb::store {

class Records {
 public:
  // Errors: those of Database::open().
  static Result<std::unique_ptr<Records>> open(const std::string& path, Missing missing = Missing::make);
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;

  // Whether there was no database yet.
  bool is_new() const { return database_.is_new(); }
  SandboxTable& sandboxes() { return sandboxes_; }
  SnapshotTable& snapshots() { return snapshots_; }
  VolumeTable& volumes() { return volumes_; }
  KeyTable& keys() { return keys_; }
  AnswerTable& answers() { return answers_; }

  // All that `work` changes is changed in one step, or, when it fails, none of it; it may be called again. What may
  // still be refused: while there is no room beside the reserve it is store_full.
  Status add(const std::function<Status()>& work);
  // The same for what has happened already, and for removals, with which room is made: it may take the reserve.
  Status note(const std::function<Status()>& work);
  // Rows of something that came to nothing after all, whatever it was to be, and of the answer that says it was made.
  Status take_back(const std::string& id);
  // Whether something can be added, as far as can be seen without writing. Errors: store_full, unavailable (a file
  // system that can only be read).
  Status check_room();
  // The same by writing something that changes nothing.
  Status try_out();

 private:
  Records(Database database, const std::string& path)
      : database_(std::move(database)),
        path_(path),
        reserve_(path + ".reserve"),
        sandboxes_(database_),
        snapshots_(database_),
        volumes_(database_),
        keys_(database_),
        answers_(database_) {}

  Status in_one_step(const std::function<Status()>& work);
  // Once more in the room that the log has already, where there is no other.
  Status in_what_is_there(const std::function<Status()>& work);

  Database database_;
  std::string path_;
  Reserve reserve_;
  SandboxTable sandboxes_;
  SnapshotTable snapshots_;
  VolumeTable volumes_;
  KeyTable keys_;
  AnswerTable answers_;
};

}  // namespace lmsb::store
