#include "store/records.h"

#include <array>

namespace lmsb::store {
namespace {

constexpr std::array kMigrations = {
    // 1: sandboxes
    "CREATE TABLE sandboxes ("
    " id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, image TEXT NOT NULL, image_digest TEXT NOT NULL,"
    " created_at TEXT NOT NULL, workdir TEXT NOT NULL, env BLOB NOT NULL, labels BLOB NOT NULL,"
    " memory_bytes INTEGER NOT NULL, disk_bytes INTEGER NOT NULL, cpu_millis INTEGER NOT NULL,"
    " processes INTEGER NOT NULL, timeout_ms INTEGER NOT NULL, idle_ms INTEGER NOT NULL,"
    " at_timeout TEXT NOT NULL, at_idle TEXT NOT NULL, ends_at_ms INTEGER, has_mounts INTEGER NOT NULL,"
    " is_removed INTEGER NOT NULL) WITHOUT ROWID;",
    // 2: snapshots
    "CREATE TABLE snapshots ("
    " id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, sandbox TEXT NOT NULL, image TEXT NOT NULL,"
    " image_digest TEXT NOT NULL, created_at TEXT NOT NULL, workdir TEXT NOT NULL, env BLOB NOT NULL,"
    " memory_bytes INTEGER NOT NULL, disk_bytes INTEGER NOT NULL, cpu_millis INTEGER NOT NULL,"
    " processes INTEGER NOT NULL) WITHOUT ROWID;",
    // 3: sandboxes run on
    "ALTER TABLE sandboxes ADD COLUMN state TEXT NOT NULL DEFAULT 'stopped';"
    "ALTER TABLE sandboxes ADD COLUMN processes_at_start INTEGER NOT NULL DEFAULT 0;",
    // 4: volumes
    "CREATE TABLE volumes ("
    " id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, created_at TEXT NOT NULL, labels BLOB NOT NULL,"
    " size_bytes INTEGER NOT NULL, is_removed INTEGER NOT NULL) WITHOUT ROWID;"
    "ALTER TABLE sandboxes ADD COLUMN volumes BLOB NOT NULL DEFAULT x'';",
    // 5: keys
    "CREATE TABLE keys ("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, created_at TEXT NOT NULL,"
    " created_by TEXT NOT NULL, scopes TEXT NOT NULL, labels BLOB NOT NULL, quota BLOB NOT NULL,"
    " expires_at TEXT NOT NULL, expires_at_ms INTEGER NOT NULL, used_at TEXT NOT NULL) WITHOUT ROWID;",
    // 6: networks
    "ALTER TABLE sandboxes ADD COLUMN egress TEXT NOT NULL DEFAULT 'none';",
    // 7: removals of snapshots that are cut short
    "ALTER TABLE snapshots ADD COLUMN is_removed INTEGER NOT NULL DEFAULT 0;",
    // 8: profiles
    "ALTER TABLE sandboxes ADD COLUMN profile TEXT NOT NULL DEFAULT 'user';",
    // 9: models of sandboxes
    "ALTER TABLE sandboxes ADD COLUMN models BLOB NOT NULL DEFAULT x'';",
    // 10: answers to requests with an Idempotency-Key
    "CREATE TABLE answers ("
    " owner TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, made_at_ms INTEGER NOT NULL,"
    " made TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (owner, key)) WITHOUT ROWID;"};

}  // namespace

Result<std::unique_ptr<Records>> Records::open(const std::string& path) {
  LMSB_TRY(Database database, Database::open(path, kMigrations));
  return std::unique_ptr<Records>(new Records(std::move(database)));
}

Status Records::in_one_step(const std::function<Status()>& work) {
  LMSB_CHECK(database_.run("BEGIN IMMEDIATE"));
  Status done = work();
  if (done.ok()) done = database_.run("COMMIT");
  if (!done.ok()) (void)database_.run("ROLLBACK");  // the error says what matters
  return done;
}

Status Records::take_back(const std::string& id) {
  return in_one_step([this, &id]() -> Status {
    LMSB_CHECK(answers_.erase_of(id));
    LMSB_CHECK(sandboxes_.erase(id));
    LMSB_CHECK(snapshots_.erase(id));
    return volumes_.erase(id);
  });
}

}  // namespace lmsb::store
