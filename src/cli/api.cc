#include "cli/api.h"

#include <fmt/format.h>

#include "base/text.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

ErrorCode code_of_status(int status) {
  switch (status) {
    case 400:
    case 413:
    case 415:
    case 422: return ErrorCode::invalid_argument;
    case 401: return ErrorCode::unauthenticated;
    case 403: return ErrorCode::permission_denied;
    case 404: return ErrorCode::not_found;
    case 409: return ErrorCode::already_exists;
    case 429: return ErrorCode::resource_exhausted;
    case 501: return ErrorCode::unsupported;
    case 502:
    case 503: return ErrorCode::unavailable;
    case 504: return ErrorCode::deadline_exceeded;
    default: return status < 500 ? ErrorCode::failed_precondition : ErrorCode::internal;
  }
}

std::string message_of_status(const Answer& answer) {
  return "the daemon answered " + std::to_string(answer.status) + ": " + lmsb::quoted(answer.body, 200);
}

// {"error":{"code","message","cause","hint"}}
Error own_error(ErrorCode code, json::Value error) {
  std::string message = text_field(error, "message");
  const std::string cause = text_field(error, "cause");
  if (!cause.empty() && message.find(cause) == std::string::npos) message += ": " + cause;
  return Error(code, std::move(message)).with_hint(text_field(error, "hint")).with_slug(text_field(error, "code"));
}

void append_pretty(std::string& text, json::Value value, const std::string& indent);

template <class Items, class Append>
void append_items(std::string& text, const Items& items, char open, char close, const std::string& indent,
                  Append append) {
  text += open;
  for (std::size_t i = 0; i < items.size(); ++i) {
    text += (i == 0 ? "\n" : ",\n") + indent + "  ";
    append(items[i], indent + "  ");
  }
  if (!items.empty()) text += "\n" + indent;
  text += close;
}

void append_pretty(std::string& text, json::Value value, const std::string& indent) {
  switch (value.kind()) {
    case json::Kind::object:
      append_items(text, value.members(), '{', '}', indent, [&text](const auto& member, const std::string& inner) {
        text += json::quote(member.first) + ": ";
        append_pretty(text, member.second, inner);
      });
      break;
    case json::Kind::array:
      append_items(text, value.items(), '[', ']', indent,
                   [&text](json::Value item, const std::string& inner) { append_pretty(text, item, inner); });
      break;
    case json::Kind::number: text += fmt::format("{}", value.number().value_or(0)); break;
    default: text += value.text();
  }
}

}  // namespace

Result<json::Document> parse_json(std::string_view text, std::string_view what) {
  json::ParseFault fault;
  auto document = json::Document::parse(text, fault);
  if (document) return *std::move(document);
  return Error(ErrorCode::unavailable, std::string(what) + " is not JSON: " + lmsb::quoted(text, 200))
      .with_hint("is it lm-sandbox that answers there?");
}

Error error_of(const Answer& answer) {
  const ErrorCode code = code_of_status(answer.status);
  const auto body = parse_json(answer.body, "the answer");
  if (!body.ok()) return Error(code, message_of_status(answer));
  const auto error = body->root().find("error");
  if (error && error->kind() == json::Kind::object) return own_error(code, *error);
  const std::string detail = text_field(body->root(), "detail");
  return Error(code, detail.empty() ? message_of_status(answer) : detail);
}

Result<json::Document> call_json(Api& api, const Call& call) {
  LMSB_TRY(const Answer answer, api.send(call));
  if (answer.status >= 400) return error_of(answer);
  return parse_json(answer.body.empty() ? "{}" : answer.body, "the answer to " + call.method + " " + call.target);
}

std::string compact(json::Value value) {
  std::string text;
  switch (value.kind()) {
    case json::Kind::object:
      for (const auto& [name, member] : value.members())
        text += (text.empty() ? "" : ",") + json::quote(name) + ":" + compact(member);
      return "{" + text + "}";
    case json::Kind::array:
      for (const json::Value item : value.items()) text += (text.empty() ? "" : ",") + compact(item);
      return "[" + text + "]";
    case json::Kind::number: return fmt::format("{}", value.number().value_or(0));
    default: return value.text();
  }
}

std::string pretty(json::Value value) {
  std::string text;
  append_pretty(text, value, "");
  return text + "\n";
}

std::string pretty_text(std::string text) {
  const auto document = parse_json(text, "");
  return document.ok() ? pretty(document->root()) : std::move(text);
}

std::string text_field(json::Value value, std::string_view key) {
  const auto found = value.find(key);
  return std::string(found ? found->string().value_or("") : "");
}

std::optional<double> number_field(json::Value value, std::string_view key) {
  const auto found = value.find(key);
  return found ? found->number() : std::nullopt;
}

bool flag_field(json::Value value, std::string_view key) {
  const auto found = value.find(key);
  return found && found->boolean().value_or(false);
}

}  // namespace lmsb::cli
