#pragma once
// Anthropic's API over the local models: messages, whole and streamed, and the counting of their tokens. What a request
// says goes to the model's llama-server as it is; of its answer what is missing is added (anthropic_answers.h).
#include "control/control.h"
#include "server/routes.h"

namespace lmsb::server {

// `control` outlives the table.
void add_anthropic_routes(RouteTable& table, control::Control& control);

}  // namespace lmsb::server
