#pragma once
// EventLog: what happened to kept sandboxes: the last of it in memory, for who follows (GET /v1/events), all of it in
// the audit log, one JSON object a line.
//
// One loop, one thread. Writing the audit log is one write(2) an event and takes as long as that; where it fails, the
// event is told all the same, and the log says so once.
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "base/unique_fd.h"
#include "control/events.h"
#include "control/principal.h"
#include "io/event.h"

namespace lmsb::control {

class EventLog {
 public:
  static constexpr std::size_t kKept = 1000;
  static constexpr std::uint64_t kMaxAuditBytes = 64U << 20U;  // then it becomes PATH.1, and a new one begins

  // `audit_path`: "" = none. `loop` and `log` outlive it.
  EventLog(boost::asio::io_context& loop, std::string audit_path, Logger& log);

  // `id` and `time` are set here.
  void add(SandboxEvent event);
  // The oldest kept event after number `number`; nothing: none yet.
  const SandboxEvent* after(std::uint64_t number) const;
  // Of the newest event; 0: there was none.
  std::uint64_t last() const { return last_; }
  // The id of the event of that number.
  std::string id_of(std::uint64_t number) const { return life_ + "-" + std::to_string(number); }
  // The other way round; nothing for an id of another daemon's life, or of none.
  std::optional<std::uint64_t> number_of(const std::string& id) const;
  // Ends when an event has come. Errors: deadline_exceeded, cancelled.
  io::Task<void> wait(io::Deadline deadline) { return came_.wait(deadline); }

  // How many follow, in all and of each owner. Kept by the streams.
  struct Followers {
    std::size_t total = 0;
    std::map<std::string, std::size_t> of_owner;
  };
  Followers followers;
  static constexpr std::size_t kMaxFollowers = 512;
  static constexpr std::size_t kMaxOfOwner = 64;

 private:
  void write_audit(const SandboxEvent& event);
  Status append(const std::string& line);

  std::string audit_path_;
  Logger& log_;
  UniqueFd audit_;
  std::uint64_t audit_size_ = 0;
  bool has_complained_ = false;
  const std::string life_;
  std::deque<SandboxEvent> events_;
  std::uint64_t last_ = 0;
  io::Event came_;
};

// What `who` may see of `sandbox` (an id or a name; "": of all): after the event of id `after`, or from now on. After
// one of another daemon's life, all that is known of this one's. `log` outlives it. Error: too_many_followers.
Result<std::unique_ptr<EventStream>> follow_events(EventLog& log, Principal who, std::string sandbox,
                                                   const std::optional<std::string>& after);

}  // namespace lmsb::control
