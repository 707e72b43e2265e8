#pragma once
// Anthropic answers: what llama-server says at /v1/messages, with what Anthropic's clients need and it leaves out: an
// id that begins with "msg_", why an answer ended where that was a stop sequence, `input` and `signature` where a block
// begins, and all counters of `usage`, also at the end of a stream. What it says of these stays as it is. Pure.
#include <memory>
#include <string>

#include "server/model_events.h"

namespace lmsb::server {

// A whole message; what is none comes as it is.
std::string mended_message(const std::string& whole);
// The events of one, up to and with message_stop.
std::unique_ptr<EventForm> anthropic_form();

}  // namespace lmsb::server
