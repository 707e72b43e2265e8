#include "server/answers.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/usual_hints.h"

namespace lmsb::server {
namespace {

constexpr std::size_t kMaxFaults = 32;  // more is no help to anybody

void write_faults(json::Writer& out, const json::Faults& faults) {
  out.key("fields").begin_array();
  for (std::size_t i = 0; i < std::min(faults.size(), kMaxFaults); ++i) {
    out.begin_object().key("path").string(json::format_location(faults[i].location));
    out.key("message").string(faults[i].message).end_object();
  }
  out.end_array();
}

std::string with_hint(const Error& error) {
  return error.hint().empty() ? error.message() : error.message() + " (" + error.hint() + ")";
}

// Beside `detail` for who knows only that one.
enum class Shape : std::uint8_t { ours, with_detail };

std::string error_body(const Error& error, const json::Faults* faults, Shape shape = Shape::ours) {
  json::Writer out;
  out.begin_object();
  if (shape == Shape::with_detail) out.key("detail").string(with_hint(error));
  out.key("error").begin_object();
  out.key("code").string(error.slug()).key("message").string(error.message());
  string_or_null(out.key("cause"), error.cause());
  string_or_null(out.key("hint"), hint_of(error));
  out.key("retryable").boolean(is_retryable(error.code()));
  if (faults != nullptr) write_faults(out, *faults);
  out.end_object().end_object();
  return std::move(out).str();
}

// As OpenAI's clients know them; they choose their exception by the status.
std::string_view openai_type(int status) {
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

std::string openai_body(int status, const Error& error) {
  json::Writer out;
  out.begin_object().key("error").begin_object().key("message").string(with_hint(error));
  out.key("type").string(openai_type(status)).key("param").null().key("code").string(error.slug());
  out.end_object().end_object();
  return std::move(out).str();
}

std::string_view anthropic_type(int status) {
  switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 409: return "conflict_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 504: return "timeout_error";
    default: return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

std::string anthropic_body(int status, const Error& error) {
  json::Writer out;
  out.begin_object().key("type").string("error").key("error").begin_object();
  out.key("type").string(anthropic_type(status)).key("message").string(with_hint(error));
  out.key("code").string(error.slug()).end_object().end_object();
  return std::move(out).str();
}

std::string ollama_body(const Error& error) {
  json::Writer out;
  out.begin_object().key("error").string(with_hint(error)).end_object();
  return std::move(out).str();
}

std::string body_of(Dialect dialect, int status, const Error& error) {
  switch (dialect) {
    case Dialect::openai: return openai_body(status, error);
    case Dialect::anthropic: return anthropic_body(status, error);
    case Dialect::ollama: return ollama_body(error);
    case Dialect::v1:
    case Dialect::seed: return error_body(error, nullptr);
  }
  return error_body(error, nullptr);
}

std::string sentence_of(const json::Faults& faults) {
  std::string sentence = "the request is not valid";
  for (std::size_t i = 0; i < std::min(faults.size(), kMaxFaults); ++i) {
    const std::string where = json::format_location(faults[i].location);
    sentence += (i == 0 ? ": " : "; ") + (where.empty() ? "the body" : where) + ", " + faults[i].message;
  }
  return sentence;
}

// With or without their last slash.
bool is_original(std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  return path == "/run-bash" || path == "/llama-cpp" || path == "/ollama";
}

void add_common_fields(http::Response& response, std::chrono::seconds wait = {}) {
  if (response.status == 429 || response.status == 503)
    response.headers.set("Retry-After", std::to_string(std::max<std::int64_t>(wait.count(), 1)));
  if (response.status == 401) response.headers.set("WWW-Authenticate", "Bearer");
}

}  // namespace

std::string_view hint_of(const Error& error) {
  return error.hint().empty() ? usual_hint(error.slug()) : std::string_view(error.hint());
}

Dialect dialect_of(std::string_view path) {
  if (path.starts_with("/v1/chat/") || path == "/v1/completions" || path == "/v1/embeddings" ||
      path == "/v1/responses" || path.starts_with("/v1/responses/"))
    return Dialect::openai;
  if (path.starts_with("/api/")) return Dialect::ollama;
  if (path == "/v1/messages" || path.starts_with("/v1/messages/")) return Dialect::anthropic;
  return path == "/v1" || path.starts_with("/v1/") ? Dialect::v1 : Dialect::seed;
}

int http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return 400;
    case ErrorCode::unauthenticated: return 401;
    case ErrorCode::permission_denied: return 403;
    case ErrorCode::not_found: return 404;
    case ErrorCode::already_exists: return 409;
    case ErrorCode::failed_precondition: return 409;
    case ErrorCode::resource_exhausted: return 429;
    case ErrorCode::cancelled: return 499;  // nobody reads it: the client has gone
    case ErrorCode::internal: return 500;
    case ErrorCode::unsupported: return 501;
    case ErrorCode::unavailable: return 503;
    case ErrorCode::deadline_exceeded: return 504;
  }
  return 500;
}

bool is_retryable(ErrorCode code) {
  return code == ErrorCode::resource_exhausted || code == ErrorCode::unavailable ||
         code == ErrorCode::deadline_exceeded || code == ErrorCode::cancelled;
}

http::Response error_answer(Dialect dialect, const Error& error) {
  const bool has_reader = error.slug() == "daemon_ends";  // the client has not gone: we go
  return error_answer(dialect, has_reader ? 503 : http_status(error.code()), error);
}

http::Response error_answer(Dialect dialect, int status, const Error& error) {
  if (dialect == Dialect::seed) {
    http::Response refused = detail_answer(status, with_hint(error));
    add_common_fields(refused, error.wait());
    return refused;
  }
  http::Response response = http::Response::json(status, body_of(dialect, status, error));
  add_common_fields(response, error.wait());
  // Their clients send again after any 409 and 5xx that does not say this. What took too long will do so again.
  const bool is_worth_it = is_retryable(error.code()) && error.code() != ErrorCode::deadline_exceeded;
  if (dialect != Dialect::v1 && !is_worth_it) response.headers.set("x-should-retry", "false");
  return response;
}

http::Response refusal_answer(std::string_view path, int status, const Error& error) {
  http::Response response = error_answer(dialect_of(path), status, error);
  if (dialect_of(path) == Dialect::seed && !is_original(path))
    response.body = error_body(error, nullptr, Shape::with_detail);
  return response;
}

Error invalid_json(const std::string& body, const json::ParseFault& fault) {
  Error error = body.empty() ? Error(ErrorCode::invalid_argument, "the request has no body")
                             : Error(ErrorCode::invalid_argument, "the body is not JSON")
                                   .with_cause(fault.message + " after " + std::to_string(fault.position) + " bytes");
  return std::move(error).with_slug("invalid_json").with_hint("send a JSON object, {} at least");
}

Error invalid_request(const json::Faults& faults) {
  return Error(ErrorCode::invalid_argument, sentence_of(faults))
      .with_slug("invalid_request")
      .with_hint("/docs shows what may be sent");
}

http::Response invalid_answer(const json::Faults& faults) {
  const Error error = invalid_request(faults);
  return http::Response::json(http_status(error.code()), error_body(error, &faults));
}

http::Response streamed_answer(std::string_view content_type, std::shared_ptr<http::BodySource> source) {
  http::Response response;
  response.headers.set("Content-Type", std::string(content_type));
  response.headers.set("Cache-Control", "no-store");
  response.headers.set("X-Accel-Buffering", "no");  // nginx would collect it
  response.source = std::move(source);
  return response;
}

http::Response made_answer(std::string body, const std::string& location) {
  http::Response response = http::Response::json(201, std::move(body));
  response.headers.set("Location", location);
  return response;
}

http::Response detail_answer(int status, std::string_view detail) {
  json::Writer out;
  out.begin_object().key("detail").string(detail).end_object();
  http::Response response = http::Response::json(status, std::move(out).str());
  add_common_fields(response);
  return response;
}

http::Response no_such_path(Dialect dialect, std::string_view hint) {
  if (dialect == Dialect::seed) return detail_answer(404, "Not Found");
  const Error error =
      Error(ErrorCode::not_found, "nothing is at this path").with_slug("path_not_found").with_hint(std::string(hint));
  return error_answer(dialect, error);
}

http::Response wrong_method(Dialect dialect, const std::vector<std::string>& allowed) {
  const std::string methods = fmt::format("{}", fmt::join(allowed, ", "));
  http::Response response;
  if (dialect == Dialect::seed) {
    response = detail_answer(405, "Method Not Allowed");
  } else {
    const Error error = Error(ErrorCode::invalid_argument, "this path does not know the method")
                            .with_slug("method_not_allowed")
                            .with_hint("allowed here: " + methods);
    response = error_answer(dialect, 405, error);
  }
  response.headers.set("Allow", methods);
  return response;
}

Error not_ready(std::string_view hint) {
  return Error(ErrorCode::unavailable, "the daemon is starting, or ending")
      .with_slug("not_ready")
      .with_hint(std::string(hint));
}

void string_or_null(json::Writer& out, std::string_view text) {
  if (text.empty()) {
    out.null();
  } else {
    out.string(text);
  }
}

void write_texts(json::Writer& out, const std::vector<std::string>& texts) {
  out.begin_array();
  for (const std::string& text : texts) out.string(text);
  out.end_array();
}

}  // namespace lmsb::server
