#include "server/ollama_answers.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "json/value.h"
#include "json/writer.h"
#include "server/answers.h"
#include "server/json_edit.h"

namespace lmsb::server {
namespace {

constexpr std::size_t kMaxCalls = 128;                        // of one answer
constexpr std::size_t kMaxArguments = std::size_t{1} << 20U;  // of all of them, octets
constexpr double kMostMs = 1e12;
constexpr const char* kUnknownTime = "1970-01-01T00:00:00Z";
constexpr const char* kNever = "9999-12-31T23:59:59Z";

Error senseless(const std::string& what) {
  return Error(ErrorCode::unavailable, "the model runner's answer " + what)
      .with_slug("runner_failed")
      .with_hint("send the request again");
}

// One call of a tool, as it comes.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text
};
using ToolCalls = std::map<std::int64_t, ToolCall>;

// What an answer has come to.
struct Totals {
  std::string finish_reason;
  std::uint64_t prompt_tokens = 0;
  std::uint64_t tokens = 0;
  std::uint64_t prompt_ns = 0;
  std::uint64_t ns = 0;
};

std::uint64_t number_at(json::Value object, std::string_view name) {
  const auto found = object.find(name);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(found ? found->integer().value_or(0) : 0, 0));
}

std::uint64_t ns_at(json::Value object, std::string_view name) {
  const auto found = object.find(name);
  return static_cast<std::uint64_t>(std::clamp(found ? found->number().value_or(0) : 0, 0.0, kMostMs) * 1e6);
}

std::optional<json::Value> first_choice(json::Value root) {
  const auto choices = root.find("choices");
  const auto items = choices ? choices->items() : std::vector<json::Value>();
  return items.empty() ? std::nullopt : std::optional(items.front());
}

void add_to(Totals& totals, json::Value root) {
  if (const auto usage = root.find("usage"); usage && usage->kind() == json::Kind::object) {
    totals.prompt_tokens = number_at(*usage, "prompt_tokens");
    totals.tokens = number_at(*usage, "completion_tokens");
  }
  if (const auto timings = root.find("timings")) {
    totals.prompt_ns = ns_at(*timings, "prompt_ms");
    totals.ns = ns_at(*timings, "predicted_ms");
  }
  const auto choice = first_choice(root);
  if (choice && !text_of(*choice, "finish_reason").empty())
    totals.finish_reason = std::string(text_of(*choice, "finish_reason"));
}

std::uint64_t ns_since(std::chrono::steady_clock::time_point begin) {
  const auto passed = std::chrono::steady_clock::now() - begin;
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count());
}

void write_head(json::Writer& out, const OllamaAnswer& answer) {
  out.begin_object().key("model").string(answer.model).key("created_at").string(rfc3339_now());
}

Status write_calls(json::Writer& out, const ToolCalls& calls) {
  if (calls.empty()) return {};
  out.key("tool_calls").begin_array();
  for (const auto& [index, call] : calls) {
    json::ParseFault fault;
    const auto arguments = json::Document::parse(call.arguments.empty() ? "{}" : call.arguments, fault);
    if (!arguments || arguments->root().kind() != json::Kind::object)
      return senseless("calls " + quoted(call.name) + " with arguments that are no JSON object");
    out.begin_object().key("id").string(call.id).key("function").begin_object();
    out.key("index").integer(index).key("name").string(call.name);
    out.key("arguments").raw(arguments->root().text()).end_object().end_object();
  }
  out.end_array();
  return {};
}

struct Words {
  std::string_view text;
  std::string_view thinking;
};

Status write_words(json::Writer& out, const OllamaAnswer& answer, const Words& words, const ToolCalls& calls) {
  if (answer.is_chat) out.key("message").begin_object().key("role").string("assistant");
  out.key(answer.is_chat ? "content" : "response").string(words.text);
  if (!words.thinking.empty()) out.key("thinking").string(words.thinking);
  if (!answer.is_chat) return {};
  LMSB_CHECK(write_calls(out, calls));
  out.end_object();
  return {};
}

// What is neither the prompt nor the answer is waiting: for the model to be loaded, or for a turn at it.
void write_end(json::Writer& out, const OllamaAnswer& answer, const Totals& totals) {
  const std::uint64_t total = ns_since(answer.begin);
  const std::uint64_t work = totals.prompt_ns + totals.ns;
  out.key("done").boolean(true).key("done_reason").string(totals.finish_reason == "length" ? "length" : "stop");
  out.key("total_duration")
      .unsigned_integer(total)
      .key("load_duration")
      .unsigned_integer(total - std::min(work, total));
  out.key("prompt_eval_count").unsigned_integer(totals.prompt_tokens);
  out.key("prompt_eval_duration").unsigned_integer(totals.prompt_ns);
  out.key("eval_count").unsigned_integer(totals.tokens).key("eval_duration").unsigned_integer(totals.ns).end_object();
}

// The part of a choice that says something: a whole message, what comes to it, or the text of a completion.
json::Value said_in(json::Value choice) {
  for (const char* name : {"message", "delta"})
    if (const auto said = choice.find(name)) return *said;
  return choice;
}

Words words_of(json::Value said) {
  const std::string_view content = text_of(said, "content");
  return {content.empty() ? text_of(said, "text") : content, text_of(said, "reasoning_content")};
}

// Error: they are too many, or too long.
Status add_calls(ToolCalls& calls, json::Value said) {
  const auto list = said.find("tool_calls");
  if (!list) return {};
  const auto items = list->items();
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto index = items[i].find("index");
    ToolCall& call = calls[index ? index->integer().value_or(0) : static_cast<std::int64_t>(i)];
    if (const auto id = text_of(items[i], "id"); !id.empty()) call.id = std::string(id);
    const auto function = items[i].find("function");
    if (!function) continue;
    call.name += text_of(*function, "name");
    call.arguments += text_of(*function, "arguments");
  }
  std::size_t octets = 0;
  for (const auto& [index, call] : calls) octets += call.id.size() + call.name.size() + call.arguments.size();
  if (calls.size() > kMaxCalls || octets > kMaxArguments)
    return senseless("has too many calls of tools, or too long ones");
  return {};
}

class OllamaForm final : public EventForm {
 public:
  explicit OllamaForm(OllamaAnswer answer) : answer_(std::move(answer)) {}

  std::string_view content_type() const override { return "application/x-ndjson"; }

  Passed pass(std::string_view event) override {
    const std::string_view data = data_of(event);
    if (data.empty()) return {};  // a comment
    if (data == "[DONE]") return last_line();
    json::ParseFault fault;
    const auto document = json::Document::parse(data, fault);
    if (!document) return {say(senseless("is no JSON")), true};
    add_to(totals_, document->root());
    const auto choice = first_choice(document->root());
    if (!choice) return {};
    const json::Value said = said_in(*choice);
    if (const Status added = add_calls(calls_, said); !added.ok()) return {say(added.error()), true};
    const Words words = words_of(said);
    if (words.text.empty() && words.thinking.empty()) return {};
    return line(words, {});
  }

  std::string say(const Error& error) override { return error_answer(Dialect::ollama, error).body + "\n"; }

 private:
  Passed line(const Words& words, const ToolCalls& calls) {
    json::Writer out;
    write_head(out, answer_);
    if (const Status written = write_words(out, answer_, words, calls); !written.ok())
      return {say(written.error()), true};
    out.key("done").boolean(false).end_object();
    return {std::move(out).str() + "\n"};
  }

  Passed last_line() {
    std::string lines;
    if (!calls_.empty()) {
      Passed calls = line({}, calls_);
      if (calls.is_last) return calls;
      lines = std::move(calls.octets);
    }
    json::Writer out;
    write_head(out, answer_);
    (void)write_words(out, answer_, {}, {});  // of nothing there is nothing to go wrong
    write_end(out, answer_, totals_);
    return {lines + std::move(out).str() + "\n", true};
  }

  const OllamaAnswer answer_;
  Totals totals_;
  ToolCalls calls_;
};

Result<json::Document> parsed(const std::string& whole) {
  json::ParseFault fault;
  auto document = json::Document::parse(whole, fault);
  if (!document) return senseless("is no JSON");
  return *std::move(document);
}

// JSON text of each.
Result<std::vector<std::string>> embeddings_in(json::Value root) {
  std::vector<std::string> texts;
  const auto data = root.find("data");
  for (const json::Value& each : data ? data->items() : std::vector<json::Value>()) {
    const auto numbers = each.find("embedding");
    if (!numbers || numbers->kind() != json::Kind::array) return senseless("holds no embeddings");
    texts.push_back(numbers->text());
  }
  if (texts.empty()) return senseless("holds no embeddings");
  return texts;
}

void write_details(json::Writer& out) {
  out.key("details").begin_object().key("parent_model").string("").key("format").string("gguf");
  out.key("family").string("").key("families").begin_array().end_array();
  out.key("parameter_size").string("").key("quantization_level").string("").end_object();
}

void write_model(json::Writer& out, const control::ModelInfo& model) {
  out.begin_object().key("name").string(model.id).key("model").string(model.id);
  out.key("modified_at").string(kUnknownTime).key("size").unsigned_integer(model.size_bytes).key("digest").string("");
  write_details(out);
}

}  // namespace

Result<std::string> ollama_answer(const OllamaAnswer& answer, const std::string& whole) {
  LMSB_TRY(const auto document, parsed(whole));
  const auto choice = first_choice(document.root());
  if (!choice) return senseless("has no choices");
  const json::Value said = said_in(*choice);
  Totals totals;
  ToolCalls calls;
  add_to(totals, document.root());
  LMSB_CHECK(add_calls(calls, said));
  json::Writer out;
  write_head(out, answer);
  LMSB_CHECK(write_words(out, answer, words_of(said), calls));
  write_end(out, answer, totals);
  return std::move(out).str();
}

Result<std::string> ollama_embeddings_of(const OllamaAnswer& answer, const std::string& whole) {
  LMSB_TRY(const auto document, parsed(whole));
  LMSB_TRY(const auto embeddings, embeddings_in(document.root()));
  Totals totals;
  add_to(totals, document.root());
  json::Writer out;
  out.begin_object().key("model").string(answer.model).key("embeddings").begin_array();
  for (const std::string& numbers : embeddings) out.raw(numbers);
  out.end_array().key("total_duration").unsigned_integer(ns_since(answer.begin)).key("load_duration").integer(0);
  out.key("prompt_eval_count").unsigned_integer(totals.prompt_tokens).end_object();
  return std::move(out).str();
}

Result<std::string> ollama_embedding_of(const std::string& whole) {
  LMSB_TRY(const auto document, parsed(whole));
  LMSB_TRY(const auto embeddings, embeddings_in(document.root()));
  json::Writer out;
  out.begin_object().key("embedding").raw(embeddings.front()).end_object();
  return std::move(out).str();
}

std::string ollama_nothing(const OllamaAnswer& answer, std::string_view reason) {
  json::Writer out;
  write_head(out, answer);
  (void)write_words(out, answer, {}, {});
  out.key("done").boolean(true).key("done_reason").string(reason).end_object();
  return std::move(out).str();
}

std::unique_ptr<EventForm> ollama_form(OllamaAnswer answer) { return std::make_unique<OllamaForm>(std::move(answer)); }

std::string ollama_tags(const std::vector<control::ModelInfo>& models) {
  json::Writer out;
  out.begin_object().key("models").begin_array();
  for (const control::ModelInfo& model : models) {
    write_model(out, model);
    out.end_object();
  }
  out.end_array().end_object();
  return std::move(out).str();
}

std::string ollama_ps(const std::vector<control::ModelInfo>& models) {
  json::Writer out;
  out.begin_object().key("models").begin_array();
  for (const control::ModelInfo& model : models) {
    if (!model.loaded) continue;
    const std::string& ends_at = model.runners.empty() ? "" : model.runners.front().ends_at;
    write_model(out, model);
    out.key("expires_at").string(ends_at.empty() ? kNever : ends_at).key("size_vram").integer(0).end_object();
  }
  out.end_array().end_object();
  return std::move(out).str();
}

std::string ollama_show(const control::ModelInfo& model) {
  json::Writer out;
  out.begin_object();
  for (const char* name : {"license", "modelfile", "parameters", "template"}) out.key(name).string("");
  write_details(out);
  out.key("model_info").begin_object().end_object().key("capabilities").begin_array().string("completion").end_array();
  out.key("modified_at").string(kUnknownTime).key("size").unsigned_integer(model.size_bytes).end_object();
  return std::move(out).str();
}

}  // namespace lmsb::server
