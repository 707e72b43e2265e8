#pragma once
// Following a command: prints what its events say, as they come, and returns its exit status.
#include <functional>
#include <string>

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

// Sends `call` and prints the octets of its events. Errors: those of the exchange and of a refusal; sandbox_lost when
// `wants_end` and the stream ends without a result.
Result<Followed> follow(Api& api, const Call& call, bool wants_end, Console& console, const Started& started = {});

}  // namespace lmsb::cli
