#include "server/output_times.h"

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "base/moment.h"
#include "base/text.h"

namespace lmsb::server {
namespace {

// Nothing where the field is absent. CLOCK_BOOTTIME.
Result<std::optional<std::uint64_t>> moment_of(const Query& query, const std::string& name) {
  const auto found = query.find(name);
  if (found == query.end()) return std::optional<std::uint64_t>();
  const auto moment = parse_moment(found->second);
  if (!moment)
    return invalid_query(name + " must be a time or how long ago it is, not " + quoted(found->second),
                         "say 2026-01-31T23:59:59Z, or 30s, 10m, 1h30m, 7d; a + of a time is %2B in a URL");
  if (!moment->ago) return std::optional(boottime_of(moment->wall_ms));
  const std::uint64_t now = boottime_ms();
  return std::optional(now - std::min(now, static_cast<std::uint64_t>(moment->ago->count())));
}

}  // namespace

Result<OutputTimes> output_times_of(const Query& query, bool waits) {
  OutputTimes times;
  LMSB_TRY(const auto since, moment_of(query, "since"));
  LMSB_TRY(const auto until, moment_of(query, "until"));
  LMSB_TRY(times.timestamps, flag_of(query, "timestamps", false));
  if (until && waits)
    return invalid_query("until is of what has come: it does not go with follow or wait_ms, which wait for more",
                         "leave one of them out");
  times.has_since = since.has_value();
  times.has_until = until.has_value();
  times.period.since_ms = since.value_or(times.period.since_ms);
  times.period.until_ms = until.value_or(times.period.until_ms);
  return times;
}

io::Task<control::FollowFrom> within(control::Control& control, control::Principal who, std::string sandbox,
                                     std::string process, control::FollowFrom from, OutputTimes times) {
  from.by_time = times.timestamps;
  if (!times.has_since && !times.has_until) co_return from;
  for (std::size_t i = 0; i < from.offsets.size(); ++i) {
    auto& offset = from.offsets[i];
    if (!offset) continue;
    const auto stream = static_cast<control::Stream>(i);
    LMSB_CO_TRY(const auto span, co_await control.processes().find_output(who, sandbox, process, stream, times.period));
    offset = std::min(std::max(*offset, span.begin), span.end);
    if (times.has_until) from.ends[i] = span.end;
  }
  co_return from;
}

}  // namespace lmsb::server
