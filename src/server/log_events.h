#pragma once
// Log events: what the detached processes of a sandbox have written, each event with the id of its process:
// {"process","type":"stdout"|"stderr","offset","text"|"base64"}, {"process","type":"result",...}.
#include <memory>
#include <string>
#include <vector>

#include "server/event_stream.h"

namespace lmsb::server {

struct LogSource {
  std::string process;  // its id
  std::unique_ptr<EventSequence> events;
};

// The events of one after the other: of sources that do not wait for more.
std::unique_ptr<EventSequence> log_so_far(std::vector<LogSource> sources);

// The events of all that run as they come, to the end of the last. Each gives the next when the client has taken the
// one before: so many events are held. A process that is deleted meanwhile has no more; another error ends the sequence
// with it. What `ended` have to say comes first.
std::unique_ptr<EventSequence> followed_log(std::vector<LogSource> ended, std::vector<LogSource> running);

}  // namespace lmsb::server
