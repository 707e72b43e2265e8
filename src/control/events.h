#pragma once
// What is told of what users keep: sandboxes, snapshots, volumes, keys, and the commands of sandboxes.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/deadline.h"
#include "io/task.h"

namespace lmsb::control {

struct SandboxEvent {
  enum class Kind : std::uint8_t {
    created,
    updated,
    paused,
    resumed,
    stopping,  // what runs in it has been asked to end
    stopped,
    started,
    rolled_back,
    failed,
    removed
  };
};
std::string_view to_string(SandboxEvent::Kind kind);

struct Event {
  std::string type;  // "sandbox.paused", "snapshot.created": docs/user/lifecycle.md lists them
  // Rises from event to event, also over the ends of daemons. 0: it has none, nobody can ask for what came after it.
  std::uint64_t number = 0;
  std::string time;                           // RFC 3339 UTC
  std::string sandbox;                        // whose; "" = none
  std::string subject;                        // the id of the snapshot, volume, process or key; "" = the sandbox itself
  std::string name;                           // of the subject, or of the sandbox; "" = none
  std::string owner;                          // who may see it; "" = administrators alone
  std::map<std::string, std::string> labels;  // for who sees by them
  std::string by;       // who did it; "timeout", "idle": a limit of its life; "daemon": its own end; "guest": it ended
  std::string outcome;  // of a command that has ended; "" = else
  int exit_code = 0;    // the same

  // "sandbox", "snapshot", "volume", "process", "key".
  std::string_view kind() const { return std::string_view(type).substr(0, type.find('.')); }
};

// What somebody wants to be told.
struct FollowEvents {
  FollowEvents() = default;
  std::string sandbox;               // an id or a name; "" = of all
  std::optional<std::string> after;  // the id of an event; nothing: from now on
  bool processes = false;            // commands that begin and end, too: from now on, and without ids
};

// What somebody may see, as it happens.
class EventStream {
 public:
  virtual ~EventStream() = default;
  struct Next {
    Event event;
    std::uint64_t missed = 0;  // so many before it are no longer kept: of all, whether or not he might have seen them
  };
  // Errors: deadline_exceeded (none by then: ask again), cancelled.
  virtual io::Task<Next> next(io::Deadline deadline) = 0;
  // The id of the event after which the next one comes.
  virtual std::string position() const = 0;
  // Whether the daemon was started again since the event that was asked for.
  virtual bool has_restarted() const = 0;
  // What is known of what was asked for: between it and the first event that comes there may have been others.
  struct Lost {
    std::optional<std::uint64_t> count;  // nothing: nobody knows how many
  };
  virtual std::optional<Lost> lost() const = 0;
};

}  // namespace lmsb::control
