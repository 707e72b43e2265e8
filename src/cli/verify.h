#pragma once
// verify: the three requests with which the original set-up is checked (its step 8), sent as they stand there.
#include "cli/api.h"
#include "cli/console.h"

namespace lmsb::cli {

constexpr const char* kVerifyAddress = "http://127.0.0.1:8000";

// Sends them to `api`, prints each as the curl line it is, its answer (cut) and whether it has the original's shape.
// Returns the exit status: 0 if all three have. `address` is for the curl lines.
int verify(Api& api, const std::string& address, bool json, Console& console);

}  // namespace lmsb::cli
