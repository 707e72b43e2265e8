#pragma once
// Ledger: what outlives the daemon of kept sandboxes with disks of their own: a row for each, in the data directory's
// database. A row is there before anybody is told of its sandbox, says so when its removal begins, and goes when its
// disk is gone.
//
// Where the database has no room, what would be added or changed is refused (store_full); what has happened, and what
// is to be removed, still has the room that is kept for it (store/reserve.h).
//
// Everything is done by one thread, in the order in which it was asked for. One loop; never blocks it. Errors, beside
// those of store/database.h: cancelled.
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "control/registry.h"
#include "io/blocking_pool.h"
#include "io/task.h"
#include "store/records.h"

namespace lmsb::control {

class Ledger {
 public:
  // `path`: the database; "" = nothing is kept. `loop` and `log` outlive it.
  Ledger(boost::asio::io_context& loop, std::string path, Logger& log);
  ~Ledger();

  struct Found {
    bool is_new = false;  // there was no database yet
    std::vector<store::SandboxRow> rows;
    std::vector<store::SnapshotRow> snapshots;
    std::vector<store::VolumeRow> volumes;
    std::vector<store::KeyRow> keys;
    std::vector<store::AnswerRow> answers;  // of the last 24 hours, the oldest first
  };
  // Opens the database. Once, before everything else. `missing`: what becomes of one that is not there; whoever made
  // the file `<path>.new` beside it has it made anew all the same, that once. Errors: those of Database::open().
  io::Task<Found> load(store::Missing missing = store::Missing::make);
  // Whether what was last written could be written; true where nothing is kept.
  bool works() const { return *works_; }
  // Finds out whether something could be written now. The log says when that changes.
  io::Task<void> check();
  struct Ids {
    std::set<std::string> sandboxes;
    std::set<std::string> snapshots;
    std::set<std::string> volumes;
  };
  // Of all rows now, but for those whose removal has begun.
  io::Task<Ids> ids();
  // Returns when it is written. `answer`: to the request that it was made for, in one step with it.
  using Answer = std::optional<store::AnswerRow>;
  io::Task<void> put(store::SandboxRow row);
  // The same of what is being removed, or is as it was before, or has happened already.
  io::Task<void> note(store::SandboxRow row);
  io::Task<void> note(store::SnapshotRow row);
  io::Task<void> note(store::VolumeRow row);
  io::Task<void> put(std::vector<store::SandboxRow> rows, Answer answer);
  io::Task<void> erase(std::string id);
  io::Task<void> put(store::SnapshotRow row, Answer answer);
  io::Task<void> erase_snapshot(std::string id);
  io::Task<void> put(store::VolumeRow row, Answer answer);
  // Of a sandbox, snapshot or volume that came to nothing after it was written: its row, and the answer that tells it.
  io::Task<void> take_back(std::string id);
  io::Task<void> erase_volume(std::string id);
  io::Task<void> put(store::KeyRow row);
  io::Task<void> erase_key(std::string id);
  io::Task<void> note_key_use(std::string id, std::string used_at);
  // Whether there is a database.
  bool keeps_anything() const { return !path_.empty(); }
  // Do not wait; what goes wrong is logged.
  void put_later(const KeptSandbox& sandbox);
  void erase_answer_later(std::string owner, std::string key);
  // Until all that was asked for is written.
  io::Always<void> settle();

 private:
  static io::Always<void> write(Ledger* self, std::string id, io::Task<void> work);
  // Both in one step, where there is an answer.
  template <class Row, class Table>
  io::Task<void> put_with(Table& (store::Records::*table)(), std::vector<Row> rows, Answer answer);
  using Work = std::function<Status(store::Records&)>;
  // Does `work` on the records, on the thread.
  io::Task<void> with_records(Work work);
  // Records::add() and note() of it.
  io::Task<void> adding(Work work);
  io::Task<void> noting(Work work);
  // Says something of the database as a whole. What was written in its reserve does not say that it works.
  enum class Proves : std::uint8_t { all, failure };
  io::Task<void> telling(Proves proves, Work work);
  void remember(const Status& told);

  boost::asio::io_context& loop_;
  std::string path_;
  Logger& log_;
  std::shared_ptr<store::Records> records_;  // null: not open
  std::shared_ptr<bool> works_ = std::make_shared<bool>(true);
  io::BlockingPool thread_;
};

store::SandboxRow row_of(const KeptSandbox& sandbox);
// A sandbox that is stopped.
KeptSandbox sandbox_of(boost::asio::io_context& loop, store::SandboxRow row);

}  // namespace lmsb::control
