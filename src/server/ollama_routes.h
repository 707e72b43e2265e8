#pragma once
// Ollama's API over the local models, for programs that speak it: what there is, and answers, whole or in lines.
#include "control/control.h"
#include "server/routes.h"

namespace lmsb::server {

// `control` outlives the table.
void add_ollama_routes(RouteTable& table, control::Control& control);
// What brings models and takes them away; not for sandboxes.
void add_ollama_store_routes(RouteTable& table, control::Control& control);

}  // namespace lmsb::server
