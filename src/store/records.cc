#include "store/records.h"

#include <array>
#include <cerrno>
#include <sys/statvfs.h>

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
    " made TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (owner, key)) WITHOUT ROWID;",
    // 11: a name is one snapshot's of its owner: of several the newest keeps it
    "UPDATE snapshots SET name = '' WHERE name <> '' AND is_removed = 0 AND id NOT IN ("
    " SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY owner, name ORDER BY created_at DESC, id DESC) AS "
    "place"
    " FROM snapshots WHERE is_removed = 0) WHERE place = 1);",
    // 12: sizes of /dev/shm
    "ALTER TABLE sandboxes ADD COLUMN shm_bytes INTEGER NOT NULL DEFAULT 67108864;"
    "ALTER TABLE snapshots ADD COLUMN shm_bytes INTEGER NOT NULL DEFAULT 67108864;"};

constexpr std::uint64_t kLeast = 64 * 1024;  // that must be free for some rows, beside the reserve

bool is_full(const Status& done) { return !done.ok() && done.error().slug() == "store_full"; }

}  // namespace

// A reserve that cannot be held is found by whoever adds something.
Result<std::unique_ptr<Records>> Records::open(const std::string& path, Missing missing) {
  LMSB_TRY(Database database, Database::open(path, kMigrations, missing));
  std::unique_ptr<Records> records(new Records(std::move(database), path));
  (void)records->reserve_.hold();
  return records;
}

Status Records::in_one_step(const std::function<Status()>& work) {
  LMSB_CHECK(database_.run("BEGIN IMMEDIATE"));
  Status done = work();
  if (done.ok()) done = database_.run("COMMIT");
  if (!done.ok()) (void)database_.run("ROLLBACK");  // the error says what matters
  return done;
}

Status Records::in_what_is_there(const std::function<Status()>& work) {
  Status done = in_one_step(work);
  if (!is_full(done)) return done;
  (void)database_.checkpoint();  // where that has no room either, `work` says so
  return in_one_step(work);
}

Status Records::add(const std::function<Status()>& work) {
  LMSB_CHECK(reserve_.hold());
  return in_what_is_there(work);
}

Status Records::note(const std::function<Status()>& work) {
  Status done = in_what_is_there(work);
  if (!is_full(done)) return done;
  reserve_.release();
  (void)database_.checkpoint();  // the log begins anew, whoever takes what is left of the room
  return in_what_is_there(work);
}

Status Records::check_room() {
  struct statvfs fs {};
  if (::statvfs(path_.c_str(), &fs) < 0)
    return Error::from_errno(errno, "look at " + path_).with_code(ErrorCode::unavailable);
  if ((fs.f_flag & ST_RDONLY) != 0)
    return Error(ErrorCode::unavailable, "the file system of " + path_ + " can only be read")
        .with_hint("the kernel's log says why (dmesg)");
  LMSB_CHECK(reserve_.hold());
  if (std::uint64_t{fs.f_bavail} * fs.f_frsize >= kLeast) return {};
  return Error(ErrorCode::resource_exhausted, "the file system of " + path_ + " is full")
      .with_slug("store_full")
      .with_hint("make room there; removing sandboxes, snapshots and volumes works");
}

Status Records::try_out() {
  LMSB_CHECK(check_room());
  return database_.run("PRAGMA user_version=" + std::to_string(kMigrations.size()));
}

Status Records::take_back(const std::string& id) {
  return note([this, &id]() -> Status {
    LMSB_CHECK(answers_.erase_of(id));
    LMSB_CHECK(sandboxes_.erase(id));
    LMSB_CHECK(snapshots_.erase(id));
    return volumes_.erase(id);
  });
}

}  // namespace lmsb::store
