#pragma once
// Model answers: what a llama-server said, judged: an answer, a refusal, or nothing that it should have said. The
// server may be in the hands of a hostile model: what it says is data, and reaches a client only in a shape that we
// know. Pure; any thread.
#include <string>

#include "base/error.h"
#include "base/result.h"
#include "http/message.h"

namespace lmsb::control {

// The body of a good answer, which is one JSON object. Errors: as refusal_of().
Result<std::string> whole_answer(http::Response answer);

// The text in a good answer to a chat, or to a raw completion. Errors: as whole_answer().
Result<std::string> completion_text(http::Response answer, bool is_chat);

// Whether it announces events (text/event-stream) and refuses nothing.
bool announces_events(int status, const http::Headers& headers);

// What an answer is that is none, `body` being {"error":{"message","type"}} where the server has something to say.
// prompt_refused, context_length_exceeded, model_unable: about the request. runner_failed: the runner is to blame.
Error refusal_of(int status, const std::string& body);

// Whether that says of the model, not of this request, that it makes no embeddings.
bool is_no_embedder(const Error& refusal);

}  // namespace lmsb::control
