#pragma once
// Following a command: prints what its events say, as they come, and returns its exit status.
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/result.h"
#include "cli/api.h"
#include "cli/console.h"

namespace lmsb::cli {

// Error cancelled: nobody reads any more what is printed.
Status check_reader(const Console& console);

// What a stream of events came to.
struct Followed {
  bool has_ended = false;  // else the stream only held what there was so far
  int exit_status = 0;
};

// Told the id of a command that takes input, when it has started.
using Started = std::function<void(const std::string& process)>;

// How events are printed: their octets; an object a line; or one document, {"data":[...],"next_cursor":null}.
enum class EventForm : std::uint8_t { octets, json_lines, json_document };

// What of the events is printed, and how.
struct Shown {
  EventForm form = EventForm::octets;
  std::string process;      // of events that name none: JSON says whose they are
  bool timestamps = false;  // when it came in front of each line, where the events say so
  // Where to begin, by process ("" where events name none) and stream; 0 where it is not said. What is before is passed
  // over.
  std::map<std::pair<std::string, std::string>, std::uint64_t> beginnings;
};

// Sends `call` and prints its events. Errors: those of the exchange and of a refusal; sandbox_lost when `wants_end` and
// the stream ends without a result.
Result<Followed> follow(Api& api, const Call& call, bool wants_end, Console& console, const Started& started = {},
                        const Shown& shown = {});

// What a piece of output says, `text` or `base64`.
std::string octets_of(json::Value event);

}  // namespace lmsb::cli
