#include "server/seed_body.h"

#include "base/text.h"
#include "json/value.h"
#include "json/writer.h"
#include "server/answers.h"
#include "server/python_json_error.h"

namespace lmsb::server {
namespace {

constexpr std::size_t kMaxEcho = 4096;  // octets of `input`; FastAPI sends everything back
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// One error of the list. `loc` and `input` are JSON texts.
struct Detail {
  std::string_view type;
  std::string loc;
  std::string message;
  std::string input;
  std::string ctx;  // "" = none
};

http::Response unprocessable(const Detail& detail) {
  json::Writer out;
  out.begin_object().key("detail").begin_array().begin_object();
  out.key("type").string(detail.type).key("loc").raw(detail.loc).key("msg").string(detail.message);
  out.key("input").raw(detail.input);
  if (!detail.ctx.empty()) out.key("ctx").raw(detail.ctx);
  out.end_object().end_array().end_object();
  return http::Response::json(422, std::move(out).str());
}

// The value as JSON, cut when it is long.
std::string echo(json::Value value) {
  if (const auto text = value.string(); text && text->size() > kMaxEcho) {
    return json::quote(std::string(text->substr(0, kMaxEcho)) + "...");
  }
  std::string all = value.text();
  if (all.size() <= kMaxEcho || value.string()) return all;
  return json::quote("(" + std::to_string(all.size()) + " bytes)");
}

http::Response body_missing() { return unprocessable({"missing", R"(["body"])", "Field required", "null", {}}); }

http::Response not_json(std::string_view body) {
  const auto error = is_utf8(body) ? python_json_error(body) : std::nullopt;
  // FastAPI's words for what its reader trips over without a position; what only ours refuses (NaN, lone surrogates,
  // deep nesting) is answered alike.
  if (!error) return detail_answer(400, "There was an error parsing the body");
  Detail detail;
  detail.type = "json_invalid";
  detail.loc = R"(["body",)" + std::to_string(error->position) + "]";
  detail.message = "JSON decode error";
  detail.input = "{}";
  detail.ctx = R"({"error":)" + json::quote(error->message) + "}";
  return unprocessable(detail);
}

http::Response cmd_fault(std::string_view type, std::string message, json::Value input, std::string ctx = {}) {
  return unprocessable({type, R"(["body","cmd"])", std::move(message), echo(input), std::move(ctx)});
}

http::Response value_error(const std::string& message, json::Value input) {
  return cmd_fault("value_error", "Value error, " + message, input, R"({"error":{}})");
}

std::string too_long(std::size_t size, std::size_t max_bytes) {
  return "cmd has " + std::to_string(size) + " bytes, which is more than " + std::to_string(max_bytes) +
         "; a long script can be sent as a file to POST /v1/run";
}

std::variant<std::string, http::Response> read_field(json::Value root, std::size_t max_bytes) {
  const auto cmd = root.find("cmd");
  if (!cmd) return cmd_fault("missing", "Field required", root);
  const auto text = cmd->string();
  if (!text) return cmd_fault("string_type", "Input should be a valid string", *cmd);
  if (text->size() > max_bytes) return value_error(too_long(text->size(), max_bytes), *cmd);
  if (text->find('\0') != std::string_view::npos) return value_error("cmd must not contain a NUL character", *cmd);
  return std::string(*text);
}

}  // namespace

std::variant<std::string, http::Response> read_cmd(std::string_view body, std::size_t max_bytes) {
  if (body.empty()) return body_missing();
  if (body.starts_with(kByteOrderMark)) body.remove_prefix(kByteOrderMark.size());
  json::ParseFault fault;
  const auto document = json::Document::parse(body, fault);
  if (!document) return not_json(body);
  const json::Value root = document->root();
  if (root.is_null()) return body_missing();
  if (root.kind() == json::Kind::object) return read_field(root, max_bytes);
  return unprocessable({"model_attributes_type",
                        R"(["body"])",
                        "Input should be a valid dictionary or object to extract fields from",
                        echo(root),
                        {}});
}

}  // namespace lmsb::server
