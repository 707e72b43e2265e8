#pragma once
// Response events: the events of a streamed /v1/responses, with what OpenAI's clients need and llama-server leaves out:
// sequence_number, output_index, content_index (or summary_index), and `output` where a response begins. What an event
// has already stays as it is. Pure.
#include <memory>

#include "server/model_events.h"

namespace lmsb::server {

std::unique_ptr<EventForm> response_form();

}  // namespace lmsb::server
