#pragma once
// Ollama requests: Ollama's words turned into those of OpenAI's API, which the models' servers speak. Values in, values
// out. Pure.
#include <string>

#include "base/result.h"
#include "control/control.h"

namespace lmsb::server {

struct OllamaRequest {
  std::string name;            // of the model, as it was asked for
  control::ModelRequest asks;  // of that model, without ":latest"
  bool only_loads = false;     // there is nothing to answer: `asks` has the model loaded, and nothing computed
  bool only_unloads = false;   // nor is it to stay
};

// Errors of all: invalid_json; invalid_request for what is not of its type, or cannot be done here.
Result<OllamaRequest> ollama_chat(const std::string& body);
Result<OllamaRequest> ollama_generate(const std::string& body);
Result<OllamaRequest> ollama_embed(const std::string& body);
// The older form of it, of one text.
Result<OllamaRequest> ollama_embeddings(const std::string& body);
// The model that is named, without ":latest".
Result<std::string> ollama_model(const std::string& body);

struct OllamaPull {
  std::string model;  // a name: no file, no URL
  bool is_streamed = true;
};
Result<OllamaPull> ollama_pull(const std::string& body);

}  // namespace lmsb::server
