#include "cli/conversation.h"

#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "json/writer.h"

namespace lmsb::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLoadLimit{1'800'000};  // a large model from a slow disk, and a long prompt
constexpr std::string_view kData = "data: ";

std::optional<json::Value> first_choice(json::Value event) {
  const auto choices = event.find("choices");
  const auto items = choices ? choices->items() : std::vector<json::Value>();
  return items.empty() ? std::nullopt : std::optional(items.front());
}

// Reads the events of one answer.
class AnswerEvents {
 public:
  explicit AnswerEvents(const Conversation::PartHandler& handle) : handle_(handle) {}

  Status take(std::string_view line) {
    if (!line.starts_with(kData) || line == "data: [DONE]") return {};
    line.remove_prefix(kData.size());
    LMSB_TRY(const auto event, parse_json(line, "a part of the model's answer"));
    if (event.root().find("error")) return error_of(Answer{503, std::string(line)});
    const auto choice = first_choice(event.root());
    if (!choice) return {};
    if (const std::string why = text_field(*choice, "finish_reason"); !why.empty()) ended = why;
    const auto delta = choice->find("delta");
    if (!delta) return {};
    LMSB_CHECK(give({text_field(*delta, "reasoning_content"), true}));
    return give({text_field(*delta, "content"), false});
  }

  std::string text;   // without thoughts
  std::string ended;  // "" = not yet

 private:
  Status give(const Conversation::Part& part) {
    if (part.text.empty()) return {};
    if (!part.is_thought) text += part.text;
    return handle_(part);
  }
  const Conversation::PartHandler& handle_;
};

void write_message(json::Writer& out, std::string_view role, std::string_view content) {
  out.begin_object().key("role").string(role).key("content").string(content).end_object();
}

}  // namespace

std::string Conversation::body(Way way) const {
  json::Writer out;
  out.begin_object();
  if (!model_.empty()) out.key("model").string(model_);
  out.key("stream").boolean(way == Way::streamed).key("messages").begin_array();
  if (!system_.empty()) write_message(out, "system", system_);
  for (const Message& message : messages_) write_message(out, message.role, message.content);
  out.end_array().end_object();
  return std::move(out).str();
}

Result<json::Document> Conversation::ask_whole(Api& api, const std::string& question) {
  messages_.push_back({"user", question});
  Call call("POST", "/v1/chat/completions", body(Way::whole));
  messages_.pop_back();
  call.timeout = kLoadLimit;
  return call_json(api, call);
}

Result<std::string> Conversation::ask(Api& api, const std::string& question, const PartHandler& handle,
                                      BorrowedFd stop) {
  messages_.push_back({"user", question});
  Call call("POST", "/v1/chat/completions", body(Way::streamed));
  call.timeout = kLoadLimit;
  call.stop = stop;
  AnswerEvents events(handle);
  const auto answer = api.send_for_lines(call, [&](std::string_view line) { return events.take(line); });
  const bool is_interrupted = !answer.ok() && answer.error().code() == ErrorCode::cancelled;
  Status failed;
  if (!answer.ok() && !is_interrupted) failed = answer.error();
  if (answer.ok() && answer->status >= 400) failed = error_of(*answer);
  if (answer.ok() && failed.ok() && events.ended.empty())
    failed = Error(ErrorCode::unavailable, "the answer has broken off").with_slug("runner_died");
  if (!failed.ok() || events.text.empty()) messages_.pop_back();
  if (!failed.ok()) return std::move(failed).error();
  if (events.text.empty()) return is_interrupted ? "interrupted" : events.ended;
  messages_.push_back({"assistant", events.text});
  return is_interrupted ? "interrupted" : events.ended;
}

}  // namespace lmsb::cli
