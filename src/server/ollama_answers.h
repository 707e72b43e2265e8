#pragma once
// Ollama answers: what a model's server says in OpenAI's words, turned into Ollama's: an object, or lines of them.
// Values in, values out, but for the time.
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/control.h"
#include "server/model_events.h"

namespace lmsb::server {

struct OllamaAnswer {
  std::string model;     // as it was asked for
  bool is_chat = false;  // `message`, else `response`
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

// Errors of all: runner_failed where it makes no sense.
Result<std::string> ollama_answer(const OllamaAnswer& answer, const std::string& whole);
Result<std::string> ollama_embeddings_of(const OllamaAnswer& answer, const std::string& whole);
// The older form of it: `embedding`, of one text.
Result<std::string> ollama_embedding_of(const std::string& whole);
// The answer to a request that has nothing answered: `reason` is "load" or "unload".
std::string ollama_nothing(const OllamaAnswer& answer, std::string_view reason);
// Lines, the last of which has `done`. A tool's call comes when all of it is there.
std::unique_ptr<EventForm> ollama_form(OllamaAnswer answer);

std::string ollama_tags(const std::vector<control::ModelInfo>& models);
// Those that are loaded.
std::string ollama_ps(const std::vector<control::ModelInfo>& models);
std::string ollama_show(const control::ModelInfo& model);

}  // namespace lmsb::server
