#pragma once
// OpenAI's API over the local models: chat completions and completions, whole and streamed, responses, embeddings. What
// a request says goes to the model's llama-server as it is, and its answer comes back as it is, but for the events of a
// response (response_events.h); ours are the choice of the model, waiting for its start, and errors in OpenAI's shape.
#include "control/control.h"
#include "server/routes.h"

namespace lmsb::server {

// `control` outlives the table.
void add_openai_routes(RouteTable& table, control::Control& control);

}  // namespace lmsb::server
