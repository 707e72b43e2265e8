#pragma once
// Database: one SQLite file that one process writes to, and statements on it. What SQLite reports becomes an Error that
// names the file; a full disk is resource_exhausted (store_full), a file that is damaged or no database of ours
// failed_precondition (database_damaged), one that is not there or empty and is not to be made failed_precondition
// (database_missing).
//
// What is committed outlives the process, however that ends; a power failure may cost the last moments of it
// (write-ahead log, synchronous=NORMAL), never the file. One thread at a time. Blocks on the file system.
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace lmsb::store {

class Statement;

// What becomes of a database that is not there, or has nothing.
enum class Missing : std::uint8_t { make, refuse };

class Database {
 public:
  // Opens or makes `path`, for nobody else as long as this lives (already_exists), looks whether all of it is whole
  // (what is in the rows is their readers' matter), and brings it up to date:
  // migrations[i] leads from version i to i + 1, all of them in one transaction, after a copy `<path>.before-<version>`
  // of a file that has something. A file of a later version is refused. A migration is never changed, only followed.
  // What is refused is left as it is.
  static Result<Database> open(const std::string& path, std::span<const char* const> migrations,
                               Missing missing = Missing::make);
  ~Database();
  Database(Database&& o) noexcept;
  Database& operator=(Database&&) = delete;

  // Whether open() made it.
  bool is_new() const { return is_new_; }

  Result<Statement> prepare(std::string_view sql);
  // Statements without results.
  Status run(const std::string& sql);
  // What the log has goes to its place in the file, so that what is written next needs no more room than it has.
  Status checkpoint() { return run("PRAGMA wal_checkpoint(RESTART)"); }
  Error error(const std::string& what) const;
  const std::string& path() const { return path_; }

 private:
  Database(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  Status take();
  Status check_whole();
  Status migrate(std::span<const char* const> migrations);
  Result<std::int64_t> version();

  sqlite3* db_;
  std::string path_;
  bool is_new_ = false;
};

// One statement, bound and stepped in order. Must not outlive its database.
class Statement {
 public:
  // The next parameter, from the first on.
  Statement& bind(std::string_view text);
  Statement& bind(std::int64_t number);
  Statement& bind_null();
  // True while there is a row. Errors of bind() come here.
  Result<bool> step();
  // To the end, of one without rows.
  Status finish();

  // The next column of the row, from the first on.
  std::string text();
  std::int64_t number();
  // Of pack() (packed_map.h). Error: database_damaged.
  Result<std::map<std::string, std::string>> map();
  bool is_null() const;  // the next column; it is not passed over

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(Database& database, sqlite3_stmt* statement) : database_(&database), statement_(statement) {}

  Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_ = 0;
  int column_ = 0;
  int failed_ = 0;
};

// All rows that `sql` asks for, each as `read` reads it.
template <class Row>
Result<std::vector<Row>> all_of(Database& database, std::string_view sql, Result<Row> (*read)(Statement&)) {
  LMSB_TRY(Statement rows, database.prepare(sql));
  std::vector<Row> all;
  LMSB_TRY(bool more, rows.step());
  while (more) {
    LMSB_TRY(all.emplace_back(), read(rows));
    LMSB_TRY(more, rows.step());
  }
  return all;
}

}  // namespace lmsb::store
