#pragma once
// Model events: what a local model's server streams, on its way to the client.
#include <memory>

#include "http/body.h"
#include "http/message.h"

namespace lmsb::server {

// An answer of the events that can be read from `octets`, each passed on when it is whole, up to and with `[DONE]`.
// Where they break off, are too long (1 MiB each) or hold an error, one comes last that says so in the words of
// OpenAI's API, which its clients throw as an error.
http::Response pass_on_events(std::shared_ptr<http::BodyReader> octets);

}  // namespace lmsb::server
