#pragma once
// Fields of a query that say of which time output is wanted: `since` and `until`, a time (RFC 3339) or how long ago
// ("10m"), both included, and `timestamps`: that what is answered says when it came, and is cut by that.
#include <string>

#include "control/control.h"
#include "control/process_service.h"
#include "server/query_fields.h"

namespace lmsb::server {

struct OutputTimes {
  control::OutputPeriod period;
  bool has_since = false;
  bool has_until = false;
  bool timestamps = false;
};

// Errors: invalid_request; also of `until` with `follow` or a wait, which are for what is still to come.
Result<OutputTimes> output_times_of(const Query& query, bool waits);

// Has `from` begin, in each stream that it has, with what came in that time, and end with it. Errors: those of
// find_output().
io::Task<control::FollowFrom> within(control::Control& control, control::Principal who, std::string sandbox,
                                     std::string process, control::FollowFrom from, OutputTimes times);

}  // namespace lmsb::server
