#pragma once
// What is told of kept sandboxes.
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
  Kind kind = Kind::created;
  std::uint64_t number = 0;  // rises by one from event to event, from 1 at the daemon's start
  std::string id;            // "4f1c02ab-17": the daemon's life, and the number
  std::string time;          // RFC 3339 UTC
  std::string sandbox;
  std::string name;                           // "" = none
  std::string owner;                          // who may see it
  std::map<std::string, std::string> labels;  // of the sandbox, for who sees by them
  std::string by;  // who did it; "timeout", "idle": a limit of its life; "daemon": its own end; "guest": it ended
};
std::string_view to_string(SandboxEvent::Kind kind);

// What somebody may see, as it happens.
class EventStream {
 public:
  virtual ~EventStream() = default;
  struct Next {
    SandboxEvent event;
    std::uint64_t missed = 0;  // so many before it are no longer kept: of all, whether or not he might have seen them
  };
  // Errors: deadline_exceeded (none by then: ask again), cancelled.
  virtual io::Task<Next> next(io::Deadline deadline) = 0;
  // The id of the event after which the next one comes.
  virtual std::string position() const = 0;
  // Whether the daemon was started again since the event that was asked for: what happened meanwhile is not known.
  virtual bool has_restarted() const = 0;
};

}  // namespace lmsb::control
