#pragma once
// log_tail: where the last lines of a process's output begin. Blocks; constant memory: it counts from the end.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/api.h"

namespace lmsb::cli {

// The offset at which the last `lines` lines of a stream ("stdout" or "stderr") begin, of what is kept of it. `process`
// is the path of the process in the API; only what came until `until`, where that is not "", counts. A line that does
// not end counts. Errors: those of the exchange.
Result<std::uint64_t> begin_of_tail(Api& api, const std::string& process, std::string_view stream, std::uint64_t lines,
                                    const std::string& until = "");

}  // namespace lmsb::cli
