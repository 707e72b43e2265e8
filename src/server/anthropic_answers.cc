#include "server/anthropic_answers.h"

#include <array>
#include <optional>
#include <utility>

#include "json/value.h"
#include "json/writer.h"
#include "server/answers.h"
#include "server/json_edit.h"

namespace lmsb::server {
namespace {

constexpr std::string_view kForeignId = "chatcmpl-";
constexpr std::array<const char*, 3> kOfPrompt = {"input_tokens", "cache_creation_input_tokens",
                                                  "cache_read_input_tokens"};

// `usage` with the counters of the prompt: its own, else those of `begun`, else 0.
std::string all_counters(json::Value usage, const std::optional<json::Value>& begun) {
  Members members;
  for (const char* name : kOfPrompt) {
    if (usage.find(name)) continue;
    const auto known = begun ? begun->find(name) : std::nullopt;
    members.emplace_back(name, known ? known->text() : "0");
  }
  return with_members(usage, members);
}

// For what says why an answer ended: llama-server has one word for an end of its own and for a stop sequence.
void add_stop_reason(Members& members, json::Value told) {
  if (!text_of(told, "stop_sequence").empty() && text_of(told, "stop_reason") == "end_turn")
    members.emplace_back("stop_reason", "\"stop_sequence\"");
}

std::string mended(json::Value message) {
  Members members;
  if (const std::string_view id = text_of(message, "id"); id.starts_with(kForeignId))
    members.emplace_back("id", json::quote("msg_" + std::string(id.substr(kForeignId.size()))));
  add_stop_reason(members, message);
  if (const auto usage = message.find("usage")) members.emplace_back("usage", all_counters(*usage, std::nullopt));
  return with_members(message, members);
}

class AnthropicForm final : public EventForm {
 public:
  Passed pass(std::string_view event) override {
    json::ParseFault fault;
    auto document = json::Document::parse(data_of(event), fault);
    if (!document) return {std::string(event)};  // a comment
    const json::Value root = document->root();
    const std::string_view type = text_of(root, "type");
    const bool is_last = type == "message_stop";
    const Members changed = changes(root, type);
    Passed passed{changed.empty() ? std::string(event) : with_data(event, with_members(root, changed)), is_last};
    if (type == "message_start") start_ = std::move(document);
    return passed;
  }

  std::string say(const Error& error) override {
    return "event: error\ndata: " + error_answer(Dialect::anthropic, error).body + "\n\n";
  }

 private:
  Members changes(json::Value root, std::string_view type) const {
    if (type == "message_start") return of_member(root, "message", [](json::Value message) { return mended(message); });
    if (type == "content_block_start") return of_member(root, "content_block", &block);
    if (type != "message_delta") return {};
    Members members = of_member(root, "delta", [](json::Value delta) {
      Members reason;
      add_stop_reason(reason, delta);
      return with_members(delta, reason);
    });
    if (const auto usage = root.find("usage")) members.emplace_back("usage", all_counters(*usage, begun()));
    return members;
  }

  template <typename Change>
  static Members of_member(json::Value root, std::string_view name, Change change) {
    const auto member = root.find(name);
    return member ? Members{{name, change(*member)}} : Members();
  }

  static std::string block(json::Value block) {
    Members members;
    if (text_of(block, "type") == "tool_use" && !block.find("input")) members.emplace_back("input", "{}");
    if (text_of(block, "type") == "thinking" && !block.find("signature")) members.emplace_back("signature", "\"\"");
    return with_members(block, members);
  }

  // `usage` of the answer's beginning.
  std::optional<json::Value> begun() const {
    const auto message = start_ ? start_->root().find("message") : std::nullopt;
    return message ? message->find("usage") : std::nullopt;
  }

  std::optional<json::Document> start_;
};

}  // namespace

std::string mended_message(const std::string& whole) {
  json::ParseFault fault;
  const auto document = json::Document::parse(whole, fault);
  return document ? mended(document->root()) : whole;
}

std::unique_ptr<EventForm> anthropic_form() { return std::make_unique<AnthropicForm>(); }

}  // namespace lmsb::server
