#pragma once
// EventLog: what happened to what users keep: the newest of it in memory and in a file, for who follows (GET
// /v1/events), whichever daemon he followed before; all of it in the audit log, one JSON object a line. Of the commands
// of sandboxes the audit log and who follows them just then are told, and nobody waits for that.
//
// One loop, one thread. An event that a file cannot take is told all the same.
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "control/audit_log.h"
#include "control/event_journal.h"
#include "control/event_ring.h"
#include "control/events.h"
#include "control/principal.h"
#include "io/event.h"

namespace lmsb::control {

class EventLog {
 public:
  static constexpr std::size_t kKept = 4096;
  static constexpr Bytes kMostSize = Bytes::MiB(8);  // of those that are kept
  static constexpr std::size_t kKeptCommands = 1024;

  // `loop` outlives it. `journal` null: a later daemon knows of nothing.
  EventLog(boost::asio::io_context& loop, AuditLog audit, std::unique_ptr<EventJournal> journal = nullptr);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // What earlier daemons told; `before`: where they have left no file. Once, before the first event, and when no other
  // daemon has the files. Blocks on them.
  void take_over(EventJournal::Before before);
  // `number` and `time` are set here.
  void add(Event event);
  // The same for an event that the audit log has already, in other words (note()).
  void tell(Event event);
  // Of a command: told to who follows them now, and without a number. The audit log has it a moment later.
  void add_command(Event event);
  // The same for the audit log alone: of a sandbox that nobody can follow.
  void note_command(Event event);
  // Whether add_command() has anybody to tell.
  bool wants_commands() const { return following_commands_ > 0 || audit_.is_kept(); }
  // Whether note_command() has.
  bool has_audit_log() const { return audit_.is_kept(); }
  // Whether somebody follows them just now.
  bool follows_commands() const { return following_commands_ > 0; }
  // Something else that the audit log is to have: "key.created", and names with their values. Nobody follows it.
  void note(std::string_view event, std::initializer_list<std::pair<std::string_view, std::string_view>> fields);
  // What `who` may see: after the event of that id, or from now on; after an id that is none, all that is kept. The log
  // outlives the stream. Error: too_many_followers.
  Result<std::unique_ptr<EventStream>> follow(Principal who, FollowEvents asked);
  static constexpr std::size_t kMaxFollowers = 512;
  static constexpr std::size_t kMaxOfOwner = 64;
  // The number that this daemon's events come after.
  std::uint64_t life() const { return history_.lives.back(); }

 private:
  class Followed;
  struct Place {
    std::uint64_t index = 0;   // of the last event that he had
    std::uint64_t number = 0;  // the same
    bool has_restarted = false;
    std::optional<EventStream::Lost> lost;
  };
  Place place_of(const std::optional<std::string>& after) const;
  // Whether an event, or a life, has that number.
  bool is_known(std::uint64_t number) const;
  std::optional<EventStream::Lost> lost_since(std::uint64_t number) const;
  void write_later(std::string line);
  void write_now();

  boost::asio::io_context& loop_;
  AuditLog audit_;
  std::unique_ptr<EventJournal> journal_;
  EventRing events_{kKept, kMostSize};
  EventRing commands_{kKeptCommands, kMostSize};
  EventHistory history_;
  std::uint64_t last_;  // number of the newest event, or of the life
  std::uint64_t turn_ = 0;
  std::string unwritten_;                        // lines for the audit log
  std::size_t following_ = 0;                    // streams
  std::size_t following_commands_ = 0;           // those of them that are told of commands
  std::map<std::string, std::size_t> of_owner_;  // how many streams of each owner there are
  io::Event came_;
  std::shared_ptr<EventLog*> self_ = std::make_shared<EventLog*>(this);  // for what may come after it
};

}  // namespace lmsb::control
