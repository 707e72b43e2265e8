#pragma once
// The original's three endpoints: POST /run-bash/, /ollama/ and /llama-cpp/, with and without the last slash.
#include "control/control.h"
#include "server/routes.h"

namespace lmsb::server {

// `control` outlives the table.
void add_seed_routes(RouteTable& table, control::Control& control);

}  // namespace lmsb::server
