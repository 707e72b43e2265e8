#include "server/ollama_requests.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "json/reader.h"
#include "json/value.h"
#include "json/writer.h"
#include "server/answers.h"
#include "server/json_edit.h"
#include "server/ollama_keep_alive.h"

namespace lmsb::server {
namespace {

using control::ModelWork;
using json::Kind;
using Names = std::pair<std::string_view, std::string_view>;  // Ollama's, and that of the model's server

constexpr std::string_view kLatest = ":latest";
constexpr std::array<Names, 16> kSampling = {{{"seed", "seed"},
                                              {"temperature", "temperature"},
                                              {"top_k", "top_k"},
                                              {"top_p", "top_p"},
                                              {"min_p", "min_p"},
                                              {"typical_p", "typical_p"},
                                              {"repeat_last_n", "repeat_last_n"},
                                              {"repeat_penalty", "repeat_penalty"},
                                              {"presence_penalty", "presence_penalty"},
                                              {"frequency_penalty", "frequency_penalty"},
                                              {"mirostat", "mirostat"},
                                              {"mirostat_tau", "mirostat_tau"},
                                              {"mirostat_eta", "mirostat_eta"},
                                              {"num_keep", "n_keep"},
                                              {"num_predict", "max_tokens"},
                                              {"stop", "stop"}}};
// How a model is loaded is the operator's matter: these are taken, and change nothing.
constexpr std::array<std::string_view, 14> kOfLoading = {
    "num_ctx",  "num_batch", "num_gpu",           "main_gpu", "use_mmap",   "use_mlock",  "num_thread",
    "low_vram", "f16_kv",    "draft_num_predict", "numa",     "vocab_only", "logits_all", "penalize_newline"};

bool is_empty(const std::optional<json::Value>& value) {
  return !value || value->is_null() || (value->kind() == Kind::string && value->string()->empty()) ||
         (value->kind() == Kind::array && value->items().empty());
}

// A request that is being read, and what becomes of it.
struct Reading {
  explicit Reading(json::Value root) : reader(root, faults) {}
  json::Faults faults;
  json::ObjectReader reader;
  json::Writer out;
};

Result<json::Document> parsed(const std::string& body) {
  json::ParseFault fault;
  auto document = json::Document::parse(body, fault);
  if (!document) return invalid_json(body, fault);
  return *std::move(document);
}

// pull, push and delete of Ollama's clients say `name`, and so may all others.
void read_name(Reading& reading, std::string& name) {
  if (!reading.reader.string("model", name)) reading.reader.string("name", name);
}

std::string without_latest(const std::string& name) {
  return name.ends_with(kLatest) ? name.substr(0, name.size() - kLatest.size()) : name;
}

// What changes the answer and cannot be done is refused, not left out.
void refuse_if_asked(Reading& reading, std::string_view name, const char* why) {
  const auto value = reading.reader.raw(name);
  if (is_empty(value) || value->boolean() == std::optional(false)) return;
  reading.reader.refuse(name, why);
}

void write_option(Reading& reading, std::string_view name, json::Value value) {
  const auto known =
      std::find_if(kSampling.begin(), kSampling.end(), [name](const Names& n) { return n.first == name; });
  if (known == kSampling.end()) {
    const bool is_of_loading = std::find(kOfLoading.begin(), kOfLoading.end(), name) != kOfLoading.end();
    if (!is_of_loading) reading.reader.refuse("options", "has no option " + quoted(name));
    return;
  }
  const bool is_unbounded = name == "num_predict" && value.number().value_or(0) < 0;
  if (!value.is_null() && !is_unbounded) reading.out.key(known->second).raw(value.text());
}

void write_options(Reading& reading) {
  const auto options = reading.reader.raw("options");
  if (is_empty(options)) return;
  if (options->kind() != Kind::object) return reading.reader.refuse("options", "is no object");
  for (const auto& [name, value] : options->members()) write_option(reading, name, value);
}

void write_format(Reading& reading) {
  const auto format = reading.reader.raw("format");
  if (is_empty(format)) return;
  reading.out.key("response_format").begin_object().key("type");
  if (format->kind() == Kind::object) {
    reading.out.string("json_schema").key("json_schema").begin_object().key("name").string("answer");
    reading.out.key("schema").raw(format->text()).end_object();
  } else {
    if (format->string() != std::optional(std::string_view("json")))
      reading.reader.refuse("format", "is neither \"json\" nor a schema");
    reading.out.string("json_object");
  }
  reading.out.end_object();
}

// How a template is told whether, and how much, to think.
void write_think(Reading& reading) {
  const auto think = reading.reader.raw("think");
  if (is_empty(think)) return;
  const auto level = think->string();
  if (!level && !think->boolean()) return reading.reader.refuse("think", "is neither true, false nor a level");
  reading.out.key("chat_template_kwargs").begin_object();
  reading.out.key("enable_thinking").boolean(think->boolean().value_or(true));
  if (level) reading.out.key("reasoning_effort").string(*level);
  reading.out.end_object();
}

void read_keep_alive(Reading& reading, OllamaRequest& request) {
  const auto value = reading.reader.raw("keep_alive");
  if (!value || value->is_null()) return;
  request.asks.keep_alive = ollama_keep_alive(*value);
  if (!request.asks.keep_alive)
    reading.reader.refuse("keep_alive", "is neither a number of seconds nor a duration like \"5m\"");
}

// What a request to answer has beside its words. `truncate` and `shift` are taken, and change nothing.
void write_rest(Reading& reading, OllamaRequest& request) {
  request.asks.is_streamed = true;
  reading.reader.boolean("stream", request.asks.is_streamed);
  refuse_if_asked(reading, "logprobs", "are told by /v1/chat/completions only");
  read_keep_alive(reading, request);
  write_options(reading);
  write_format(reading);
  reading.out.key("stream").boolean(request.asks.is_streamed);
  if (request.asks.is_streamed)
    reading.out.key("stream_options").begin_object().key("include_usage").boolean(true).end_object();
}

// Of an image of Ollama's only the octets are told.
std::string_view media_type(std::string_view base64) {
  if (base64.starts_with("/9j/")) return "image/jpeg";
  if (base64.starts_with("R0lGOD")) return "image/gif";
  if (base64.starts_with("UklGR")) return "image/webp";
  return "image/png";
}

// `content`, and beside it images where there are some.
void write_content(Reading& reading, std::string_view text, const std::optional<json::Value>& images) {
  json::Writer& out = reading.out;
  out.key("content");
  if (is_empty(images)) {
    out.string(text);
    return;
  }
  out.begin_array().begin_object().key("type").string("text").key("text").string(text).end_object();
  if (images->kind() != Kind::array) reading.reader.refuse("images", "are no list");
  for (const json::Value& image : images->items()) {
    if (!image.string()) reading.reader.refuse("images", "have one that is no text");
    const std::string_view octets = image.string().value_or(std::string_view());
    out.begin_object().key("type").string("image_url").key("image_url").begin_object();
    out.key("url").string("data:" + std::string(media_type(octets)) + ";base64," + std::string(octets));
    out.end_object().end_object();
  }
  out.end_array();
}

// Calls that wait for their results: Ollama's messages need not say which call a result is of.
class Calls {
 public:
  // The id of the next call.
  std::string begin(json::Value call, std::string_view name) {
    std::string id(text_of(call, "id"));
    if (id.empty()) id = "call_" + std::to_string(count_);
    ++count_;
    if (waiting_.size() < kMaxWaiting) {
      waiting_.emplace_back(name, id);
    } else {
      are_too_many_ = true;
    }
    return id;
  }
  // The id of the call that a message is the result of: the first of that name, else the first.
  std::string end(json::Value message) {
    const std::string_view told = text_of(message, "tool_call_id");
    const std::string_view name = text_of(message, "tool_name");
    auto call = std::find_if(waiting_.begin(), waiting_.end(), [told, name](const auto& each) {
      return told.empty() ? each.first == name : each.second == told;
    });
    if (call == waiting_.end() && told.empty()) call = waiting_.begin();
    if (call == waiting_.end()) return std::string(told);
    std::string id = std::move(call->second);
    waiting_.erase(call);
    return id;
  }
  bool are_too_many() const { return are_too_many_; }

 private:
  static constexpr std::size_t kMaxWaiting = 256;            // each result is looked for among them
  std::deque<std::pair<std::string, std::string>> waiting_;  // names and ids
  std::size_t count_ = 0;
  bool are_too_many_ = false;
};

// Ollama's are an object, OpenAI's the text of one; who has the text already means that.
std::string arguments_of(std::optional<json::Value> arguments) {
  if (!arguments) return "{}";
  const auto text = arguments->string();
  return text ? std::string(*text) : arguments->text();
}

void write_calls(Reading& reading, json::Value list, Calls& calls) {
  json::Writer& out = reading.out;
  if (list.kind() != Kind::array) reading.reader.refuse("messages", "have tool_calls that are no list");
  out.key("tool_calls").begin_array();
  for (const json::Value& call : list.items()) {
    const auto function = call.find("function");
    const std::string_view name = function ? text_of(*function, "name") : std::string_view();
    const auto arguments = function ? function->find("arguments") : std::nullopt;
    out.begin_object().key("id").string(calls.begin(call, name)).key("type").string("function");
    out.key("function").begin_object().key("name").string(name);
    out.key("arguments").string(arguments_of(arguments)).end_object().end_object();
  }
  out.end_array();
}

// Nothing of a message is left out: the model would answer another question.
void check_message(Reading& reading, json::Value message) {
  if (message.kind() != Kind::object) return reading.reader.refuse("messages", "have one that is no object");
  for (const char* name : {"role", "content", "thinking", "tool_call_id", "tool_name"}) {
    const auto text = message.find(name);
    if (text && !text->is_null() && !text->string())
      reading.reader.refuse("messages", "have one whose words are no text");
  }
}

void write_message(Reading& reading, json::Value message, Calls& calls) {
  check_message(reading, message);
  json::Writer& out = reading.out;
  const std::string_view role = text_of(message, "role");
  out.begin_object().key("role").string(role);
  write_content(reading, text_of(message, "content"), message.find("images"));
  if (const std::string_view thinking = text_of(message, "thinking"); !thinking.empty())
    out.key("reasoning_content").string(thinking);
  if (const auto list = message.find("tool_calls"); !is_empty(list)) write_calls(reading, *list, calls);
  if (role == "tool") out.key("tool_call_id").string(calls.end(message));
  out.end_object();
}

// Loads a model and computes nothing: nothing is turned into no tokens.
void ask_to_load(OllamaRequest& request) {
  const bool is_farewell = request.asks.keep_alive == std::optional(control::KeepAlive(0));
  request.only_loads = !is_farewell;
  request.only_unloads = is_farewell;
  request.asks.work = ModelWork::counting;
  request.asks.path = "/tokenize";
  request.asks.body = R"({"content":""})";
}

// The end of reading a request whose model is to answer.
Result<OllamaRequest> finished(Reading& reading, OllamaRequest request, bool has_nothing) {
  reading.out.end_object();
  std::string body = std::move(reading.out).str();
  if (has_nothing) {
    ask_to_load(request);
  } else {
    request.asks.body = std::move(body);
  }
  if (!reading.faults.empty()) return invalid_request(reading.faults);
  request.asks.model = without_latest(request.name);
  return request;
}

// A prompt as the one message of a conversation, behind what the system says.
void write_prompt_as_chat(Reading& reading, std::string_view prompt, std::string_view system) {
  reading.out.key("messages").begin_array();
  if (!system.empty())
    reading.out.begin_object().key("role").string("system").key("content").string(system).end_object();
  reading.out.begin_object().key("role").string("user");
  write_content(reading, prompt, reading.reader.raw("images"));
  reading.out.end_object().end_array();
  write_think(reading);
}

// What is not done with a prompt here.
void refuse_of_generate(Reading& reading, bool is_raw) {
  refuse_if_asked(reading, "suffix", "is not taken: text is not filled in here");
  refuse_if_asked(reading, "template", "is not taken: a model has its own");
  refuse_if_asked(reading, "context", "is not taken: send the conversation to /api/chat");
  if (!is_raw) return;
  for (const char* name : {"system", "images", "format", "think"})
    refuse_if_asked(reading, name, "is not for a prompt that is raw");
}

// `input` is there, in whichever form.
Result<OllamaRequest> asks_for_embeddings(Reading& reading, std::string_view field) {
  OllamaRequest request;
  read_name(reading, request.name);
  const auto input = reading.reader.raw(field, json::Need::required);
  refuse_if_asked(reading, "dimensions", "is not taken: a model has its own");
  read_keep_alive(reading, request);
  if (!reading.faults.empty()) return invalid_request(reading.faults);
  reading.out.begin_object().key("input").raw(input->text()).key("encoding_format").string("float").end_object();
  request.asks.body = std::move(reading.out).str();
  request.asks.model = without_latest(request.name);
  request.asks.path = "/v1/embeddings";
  request.asks.work = ModelWork::embedding;
  request.asks.is_several = input->items().size() > 1;
  return request;
}

}  // namespace

Result<OllamaRequest> ollama_chat(const std::string& body) {
  LMSB_TRY(const auto document, parsed(body));
  Reading reading(document.root());
  OllamaRequest request;
  read_name(reading, request.name);
  request.asks.path = "/v1/chat/completions";
  reading.out.begin_object().key("messages").begin_array();
  const auto messages = reading.reader.raw("messages");
  Calls calls;
  if (messages && messages->kind() != Kind::array) reading.reader.refuse("messages", "is no list");
  if (messages)
    for (const json::Value& message : messages->items()) write_message(reading, message, calls);
  if (calls.are_too_many()) reading.reader.refuse("messages", "have more than 256 calls without a result");
  reading.out.end_array();
  if (const auto tools = reading.reader.raw("tools"); !is_empty(tools)) reading.out.key("tools").raw(tools->text());
  write_think(reading);
  write_rest(reading, request);
  return finished(reading, std::move(request), is_empty(messages));
}

Result<OllamaRequest> ollama_generate(const std::string& body) {
  LMSB_TRY(const auto document, parsed(body));
  Reading reading(document.root());
  OllamaRequest request;
  read_name(reading, request.name);
  std::string prompt;
  std::string system;
  bool is_raw = false;
  reading.reader.string("prompt", prompt);
  reading.reader.boolean("raw", is_raw);
  refuse_of_generate(reading, is_raw);
  reading.out.begin_object();
  if (is_raw) {
    request.asks.path = "/v1/completions";
    reading.out.key("prompt").string(prompt);
  } else {
    request.asks.path = "/v1/chat/completions";
    reading.reader.string("system", system);
    write_prompt_as_chat(reading, prompt, system);
  }
  write_rest(reading, request);
  return finished(reading, std::move(request), prompt.empty());
}

Result<OllamaRequest> ollama_embed(const std::string& body) {
  LMSB_TRY(const auto document, parsed(body));
  Reading reading(document.root());
  return asks_for_embeddings(reading, "input");
}

Result<OllamaRequest> ollama_embeddings(const std::string& body) {
  LMSB_TRY(const auto document, parsed(body));
  Reading reading(document.root());
  return asks_for_embeddings(reading, "prompt");
}

Result<std::string> ollama_model(const std::string& body) {
  LMSB_TRY(const auto document, parsed(body));
  Reading reading(document.root());
  std::string name;
  read_name(reading, name);
  if (name.empty()) reading.reader.refuse("model", "is missing", "missing");
  if (!reading.faults.empty()) return invalid_request(reading.faults);
  return without_latest(name);
}

Result<OllamaPull> ollama_pull(const std::string& body) {
  LMSB_TRY(const auto document, parsed(body));
  Reading reading(document.root());
  OllamaPull pull;
  read_name(reading, pull.model);
  reading.reader.boolean("stream", pull.is_streamed);
  if (pull.model.empty()) reading.reader.refuse("model", "is missing", "missing");
  if (pull.model.starts_with('/') || pull.model.find("://") != std::string::npos)
    reading.reader.refuse("model", "is no name; POST /v1/models/pull takes files and URLs");
  if (!reading.faults.empty()) return invalid_request(reading.faults);
  return pull;
}

}  // namespace lmsb::server
