#pragma once
// Answers: how an Error becomes an HTTP answer, once for every route. Our own shape under /v1, those of OpenAI,
// Anthropic and Ollama where their APIs are spoken, FastAPI's `detail` everywhere else (the original's clients know
// that one).
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "http/message.h"
#include "json/reader.h"
#include "json/writer.h"

namespace lmsb::server {

enum class Dialect : std::uint8_t {
  v1,         // {"error":{"code","message","cause","hint","retryable"}}
  openai,     // {"error":{"message","type","param","code"}}
  anthropic,  // {"type":"error","error":{"type","message","code"}}
  ollama,     // {"error":"..."}
  seed,       // {"detail":"..."}
};

// The dialect of a path; decides the shape of errors even where no route is.
Dialect dialect_of(std::string_view path);

// The one status of each category.
int http_status(ErrorCode code);
// Whether the same request may work later, unchanged.
bool is_retryable(ErrorCode code);

// What can be done about it: its own hint, else the usual one of its code.
std::string_view hint_of(const Error& error);

http::Response error_answer(Dialect dialect, const Error& error);
// The same with a status that no category has (405, 415, 421, 502).
http::Response error_answer(Dialect dialect, int status, const Error& error);
// What is refused before any route is asked. Where nothing of ours is, or what no API is (pages, health), our own shape
// stands beside `detail`; the original's three endpoints have that alone.
http::Response refusal_answer(std::string_view path, int status, const Error& error);
// 404: `hint` says what there is. 405: with what the path knows. Errors have the shape of the path's dialect.
http::Response no_such_path(Dialect dialect, std::string_view hint);
http::Response wrong_method(Dialect dialect, const std::vector<std::string>& allowed);
// At its start the daemon listens before it has taken up the sandboxes of the one before it.
Error not_ready(std::string_view hint);
// What is wrong with a body that is no JSON, as Document::parse() says it.
Error invalid_json(const std::string& body, const json::ParseFault& fault);
// The same of its fields, all of it in one sentence (the first 32).
Error invalid_request(const json::Faults& faults);
// 400 in the /v1 shape, with `fields` beside: what is wrong with the request, all of it at once (the first 32).
http::Response invalid_answer(const json::Faults& faults);
// 200 with a body that comes bit by bit and that nobody on the way may keep or collect.
http::Response streamed_answer(std::string_view content_type, std::shared_ptr<http::BodySource> source);
// 201 with what was made, and where that is.
http::Response made_answer(std::string body, const std::string& location);
// {"detail": detail}
http::Response detail_answer(int status, std::string_view detail);

// Writes `text` as a string, and no text as null.
void string_or_null(json::Writer& out, std::string_view text);
void write_texts(json::Writer& out, const std::vector<std::string>& texts);

}  // namespace lmsb::server
