#pragma once
// EventLog: what happened to kept sandboxes: the last of it in memory, for who follows (GET /v1/events), all of it in
// the audit log, one JSON object a line.
//
// One loop, one thread. An event that the audit log cannot take is told all the same.
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "control/audit_log.h"
#include "control/events.h"
#include "control/principal.h"
#include "io/event.h"

namespace lmsb::control {

class EventLog {
 public:
  static constexpr std::size_t kKept = 1000;

  // `loop` outlives it.
  EventLog(boost::asio::io_context& loop, AuditLog audit);

  // `id` and `time` are set here.
  void add(SandboxEvent event);
  // Something else that the audit log is to have: "key.created", and names with their values. Nobody follows it.
  void note(std::string_view event, std::initializer_list<std::pair<std::string_view, std::string_view>> fields);
  // What `who` may see of `sandbox` (an id or a name; "": of all): after the event of id `after`, or from now on. After
  // one of another daemon's life, all that is known of this one's. The log outlives the stream. Error:
  // too_many_followers.
  Result<std::unique_ptr<EventStream>> follow(Principal who, std::string sandbox,
                                              const std::optional<std::string>& after);
  static constexpr std::size_t kMaxFollowers = 512;
  static constexpr std::size_t kMaxOfOwner = 64;
  // The id of the event of that number.
  std::string id_of(std::uint64_t number) const { return life_ + "-" + std::to_string(number); }

 private:
  class Followed;
  // The oldest kept event after number `number`; nothing: none yet.
  const SandboxEvent* after(std::uint64_t number) const;
  // The other way round; nothing for an id of another daemon's life, or of none.
  std::optional<std::uint64_t> number_of(const std::string& id) const;

  AuditLog audit_;
  const std::string life_;
  std::deque<SandboxEvent> events_;
  std::uint64_t last_ = 0;                       // of the newest event; 0: there was none
  std::size_t following_ = 0;                    // streams
  std::map<std::string, std::size_t> of_owner_;  // the same of each owner
  io::Event came_;
};

}  // namespace lmsb::control
