#include "control/model_answers.h"

#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "json/value.h"

namespace lmsb::control {
namespace {

constexpr std::size_t kMaxWords = 2048;
// What a server says of a model that has no way to make one vector of a text.
constexpr std::string_view kNoEmbedder = "Pooling type 'none'";

// The text at `path` of nested members; "0" stands for the first item of a list.
std::optional<std::string> text_at(json::Value value, std::initializer_list<const char*> path) {
  for (const char* name : path) {
    const auto items = value.items();
    const auto next = std::string_view(name) == "0" ? (items.empty() ? std::nullopt : std::optional(items.front()))
                                                    : value.find(name);
    if (!next) return std::nullopt;
    value = *next;
  }
  const auto text = value.string();
  return text ? std::optional(std::string(*text)) : std::nullopt;
}

std::optional<json::Document> parsed(const std::string& body) {
  json::ParseFault fault;
  return json::Document::parse(body, fault);
}

Error no_answer(int status, const std::string& body) {
  return Error(ErrorCode::unavailable, "the model runner answered " + std::to_string(status))
      .with_cause(quoted(body, 300))
      .with_slug("runner_failed")
      .with_hint("the next request starts a new one");
}

std::string cut(std::string words) {
  if (words.size() <= kMaxWords) return words;
  words.resize(kMaxWords);
  words.resize(words.size() - incomplete_utf8_end(words));
  return words + "...";
}

}  // namespace

Result<std::string> whole_answer(http::Response answer) {
  const auto document = answer.status == 200 ? parsed(answer.body) : std::nullopt;
  if (document && document->root().kind() == json::Kind::object) return std::move(answer.body);
  if (document && document->root().kind() == json::Kind::array)
    return Error(ErrorCode::unsupported, "the request asks for several answers at once")
        .with_slug("model_unable")
        .with_hint("send one request for each prompt");
  return refusal_of(answer.status, answer.body);
}

Result<std::string> completion_text(http::Response answer, bool is_chat) {
  const int status = answer.status;
  if (answer.body.starts_with('[')) return no_answer(status, answer.body);  // to a request that is ours
  LMSB_TRY(const std::string whole, whole_answer(std::move(answer)));
  const auto document = parsed(whole);
  auto text = is_chat ? text_at(document->root(), {"choices", "0", "message", "content"})
                      : text_at(document->root(), {"content"});
  if (!text) return no_answer(status, whole);
  return *std::move(text);
}

bool announces_events(int status, const http::Headers& headers) {
  return status == 200 && headers.find("Content-Type").value_or("").starts_with("text/event-stream");
}

Error refusal_of(int status, const std::string& body) {
  const auto document = status >= 400 ? parsed(body) : std::nullopt;
  const auto message = document ? text_at(document->root(), {"error", "message"}) : std::nullopt;
  // 503 is one that is still loading, which it had said to be over.
  if (!message || status > 501) return no_answer(status, body);
  const Error refused = Error(ErrorCode::invalid_argument, "the model refuses the request").with_cause(cut(*message));
  if (status == 501 || status == 404)
    return Error(refused)
        .with_code(ErrorCode::unsupported)
        .with_slug("model_unable")
        .with_hint("ask another model, or build a newer llama.cpp's image: sudo lm-sandbox image build llama");
  if (message->starts_with(kNoEmbedder))
    return Error(refused)
        .with_code(ErrorCode::unsupported)
        .with_slug("model_unable")
        .with_hint("ask a model that is made for embeddings");
  if (text_at(document->root(), {"error", "type"}) == "exceed_context_size_error")
    return Error(refused)
        .with_slug("context_length_exceeded")
        .with_hint("shorten it, or raise [model] context in the configuration");
  // 500 too: that is how llama-server answers where a template or a schema makes no sense to it.
  return Error(refused)
      .with_slug("prompt_refused")
      .with_hint("change the request as the message says; other models may take it");
}

bool is_no_embedder(const Error& refusal) {
  return refusal.slug() == "model_unable" && refusal.cause().starts_with(kNoEmbedder);
}

}  // namespace lmsb::control
