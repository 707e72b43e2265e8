#pragma once
// Ollama's keep_alive: a number of seconds, or a duration as Go writes them ("5m", "1h30m", "-1s"). Pure.
#include <optional>

#include "control/control.h"
#include "json/value.h"

namespace lmsb::server {

// A negative one, or one of more than 30 years, is for as long as there is room. Nothing: it is no such value.
std::optional<control::KeepAlive> ollama_keep_alive(json::Value value);

}  // namespace lmsb::server
