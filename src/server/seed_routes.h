#pragma once
// The original's three endpoints: POST /run-bash/, /ollama/ and /llama-cpp/, with and without the last slash.
#include "control/control.h"
#include "server/routes.h"

namespace lmsb::server {

// `control` outlives the table. `run_bash_sandbox` names the kept sandbox that all of /run-bash/ shares: made on first
// use, and again when it has died; it belongs to the daemon, so only administrators see it elsewhere. "" = a fresh
// sandbox for each request.
void add_seed_routes(RouteTable& table, control::Control& control, std::string run_bash_sandbox);

}  // namespace lmsb::server
