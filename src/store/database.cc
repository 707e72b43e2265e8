#include "store/database.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <utility>

#include <sqlite3.h>

#include "base/unique_fd.h"
#include "store/packed_map.h"

namespace lmsb::store {
namespace {

// What to do about a database that cannot be had.
std::string ways_on(const std::string& path) {
  return "put a good copy of it there, with its directory's owner (an upgrade leaves one beside it, " + path +
         ".before-N), without the -wal of another; or, to go on without what it says, move it and its -wal away, "
         "touch " +
         path +
         ".new, and start again: disks, snapshots and volumes stay and are listed as lost until the good one is " +
         "back, what still runs ends, and keys are gone (docs/user/lifecycle.md)";
}

Error error_of(int code, const std::string& path, const std::string& what, const char* says) {
  const Error error = Error(ErrorCode::unavailable, what + " " + path).with_cause(says);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return Error(error)
          .with_code(ErrorCode::resource_exhausted)
          .with_slug("store_full")
          .with_hint(
              "make room on the file system of the data directory; removing sandboxes, snapshots and volumes works");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error(error).with_code(ErrorCode::already_exists).with_hint("another lm-sandbox uses this data directory");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error(error)
          .with_code(ErrorCode::failed_precondition)
          .with_slug("database_damaged")
          .with_hint("nothing of it was changed: " + ways_on(path));
    default:
      return Error(error).with_hint(
          "look at its file system with dmesg and df, and who may write it with ls -l and lsattr");
  }
}

Error missing_database(const std::string& path) {
  return Error(ErrorCode::failed_precondition, "the database " + path + " is not there, or is empty")
      .with_slug("database_missing")
      .with_hint(ways_on(path));
}

// Makes `path` for its owner alone, if it is not there.
Status make_private(const std::string& path, int how) {
  const UniqueFd made(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | how, 0600));
  if (made) return {};
  return Error::from_errno(errno, "open " + path)
      .with_hint("look at its file system with dmesg and df, and who may write it with ls -l and lsattr");
}

}  // namespace

Database::Database(Database&& o) noexcept
    : db_(std::exchange(o.db_, nullptr)), path_(std::move(o.path_)), is_new_(o.is_new_) {}

Database::~Database() {
  if (db_ != nullptr) ::sqlite3_close_v2(db_);
}

Error Database::error(const std::string& what) const {
  return error_of(::sqlite3_extended_errcode(db_), path_, what, ::sqlite3_errmsg(db_));
}

Result<Database> Database::open(const std::string& path, std::span<const char* const> migrations, Missing missing) {
  std::error_code unknown;
  const auto size = std::filesystem::file_size(path, unknown);
  if (missing == Missing::refuse && (unknown ? unknown == std::errc::no_such_file_or_directory : size == 0))
    return missing_database(path);
  // For its owner alone, and so is the log beside it, which SQLite makes like the file.
  // Closed before SQLite opens it: closing any descriptor of a file gives up all locks that the process has on it.
  LMSB_CHECK(make_private(path, 0));
  sqlite3* db = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  const int opened = ::sqlite3_open_v2(path.c_str(), &db, kFlags, nullptr);
  Database database(db, path);
  if (opened != SQLITE_OK) return error_of(opened, path, "open", db != nullptr ? ::sqlite3_errmsg(db) : "no memory");
  LMSB_CHECK(database.take());
  LMSB_CHECK(database.check_whole());
  LMSB_TRY(const std::int64_t version, database.version());
  if (missing == Missing::refuse && version == 0) return missing_database(path);
  LMSB_CHECK(database.migrate(migrations));
  return database;
}

// Exclusive, so that the log's index is in memory and no second process can open it.
Status Database::take() {
  LMSB_CHECK(run("PRAGMA locking_mode=EXCLUSIVE"));
  LMSB_CHECK(run("PRAGMA journal_mode=WAL"));
  LMSB_CHECK(run("PRAGMA synchronous=NORMAL"));
  LMSB_CHECK(run("PRAGMA trusted_schema=OFF"));
  return run("BEGIN IMMEDIATE; COMMIT");
}

// One bad page is enough to be refused: later it would be found in the middle of something.
Status Database::check_whole() {
  LMSB_TRY(Statement asked, prepare("PRAGMA quick_check(1)"));
  LMSB_TRY(const bool has_row, asked.step());
  std::string said = has_row ? asked.text() : "it says nothing";
  if (said == "ok") return {};
  std::replace(said.begin(), said.end(), '\n', ' ');
  return error_of(SQLITE_CORRUPT, path_, "use", said.c_str());
}

Result<std::int64_t> Database::version() {
  LMSB_TRY(Statement asked, prepare("PRAGMA user_version"));
  LMSB_TRY(const bool has_row, asked.step());
  return has_row ? asked.number() : 0;
}

Status Database::migrate(std::span<const char* const> migrations) {
  LMSB_TRY(const std::int64_t from, version());
  const auto newest = static_cast<std::int64_t>(migrations.size());
  if (from == newest) return {};
  if (from < 0 || from > newest)
    return Error(ErrorCode::failed_precondition,
                 "open " + path_ + ": it is of a newer lm-sandbox (version " + std::to_string(from) + ")")
        .with_slug("database_newer")
        .with_hint("install that one again, or choose another directory with --data-dir");
  is_new_ = from == 0;
  if (!is_new_) {
    const std::string copy = path_ + ".before-" + std::to_string(newest);
    std::error_code ignored;
    std::filesystem::remove(copy, ignored);  // of an upgrade that did not end well
    LMSB_CHECK(make_private(copy, O_EXCL));  // SQLite fills an empty file, and would make one that all may read
    LMSB_TRY(Statement copying, prepare("VACUUM INTO ?1"));
    LMSB_CHECK(copying.bind(copy).finish());
  }
  std::string all = "BEGIN IMMEDIATE;";
  for (std::int64_t i = from; i < newest; ++i) all += migrations[static_cast<std::size_t>(i)];
  all += "PRAGMA user_version=" + std::to_string(newest) + ";COMMIT";
  Status migrated = run(all);
  if (!migrated.ok()) (void)run("ROLLBACK");  // the error says what matters
  return migrated;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (::sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr) != SQLITE_OK)
    return error("use");
  return Statement(*this, statement);
}

Status Database::run(const std::string& sql) {
  return ::sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK ? Status() : error("use");
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { ::sqlite3_finalize(statement); }

Statement& Statement::bind(std::string_view text) {
  // An empty view may have no address, which SQLite would take for NULL.
  const char* at = text.empty() ? "" : text.data();
  const int done = ::sqlite3_bind_text64(statement_.get(), ++bound_, at, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (failed_ == SQLITE_OK) failed_ = done;
  return *this;
}

Statement& Statement::bind(std::int64_t number) {
  const int done = ::sqlite3_bind_int64(statement_.get(), ++bound_, number);
  if (failed_ == SQLITE_OK) failed_ = done;
  return *this;
}

Statement& Statement::bind_null() {
  ++bound_;  // that is what it is as long as nothing is bound
  return *this;
}

Result<bool> Statement::step() {
  column_ = 0;
  if (failed_ != SQLITE_OK) return error_of(failed_, database_->path(), "use", ::sqlite3_errstr(failed_));
  const int stepped = ::sqlite3_step(statement_.get());
  if (stepped == SQLITE_ROW) return true;
  if (stepped == SQLITE_DONE) return false;
  return database_->error("use");
}

Status Statement::finish() {
  LMSB_TRY(bool more, step());
  while (more) {
    LMSB_TRY(more, step());
  }
  return {};
}

std::string Statement::text() {
  const void* octets = ::sqlite3_column_blob(statement_.get(), column_);
  const auto size = static_cast<std::size_t>(::sqlite3_column_bytes(statement_.get(), column_));
  ++column_;
  return octets == nullptr ? std::string() : std::string(static_cast<const char*>(octets), size);
}

std::int64_t Statement::number() { return ::sqlite3_column_int64(statement_.get(), column_++); }

Result<std::map<std::string, std::string>> Statement::map() {
  auto map = unpack(text());
  if (map) return *std::move(map);
  return Error(ErrorCode::failed_precondition, "use " + database_->path() + ": a row is damaged")
      .with_slug("database_damaged");
}

bool Statement::is_null() const { return ::sqlite3_column_type(statement_.get(), column_) == SQLITE_NULL; }

}  // namespace lmsb::store
