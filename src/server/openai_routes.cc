#include "server/openai_routes.h"

#include <algorithm>
#include <string>
#include <utility>

#include "control/model_allowance.h"
#include "http/body.h"
#include "json/reader.h"
#include "json/value.h"
#include "server/answers.h"
#include "server/model_events.h"

namespace lmsb::server {
namespace {

using control::Control;

// What of a request is for us; the rest is for the model's server.
struct ModelFields {
  std::string model;
  bool is_streamed = false;
  bool is_several = false;
};

// llama-server takes a list as several prompts, unless it is one of token ids.
bool is_one_prompt(json::Value prompt) {
  const auto items = prompt.items();
  return std::all_of(items.begin(), items.end(),
                     [](const json::Value& item) { return item.kind() == json::Kind::integer; });
}

bool is_at_most_one(json::Value number) { return number.is_null() || number.number().value_or(2) <= 1; }

bool asks_for_several(json::Value request) {
  const auto prompt = request.find("prompt");
  if (prompt && !is_one_prompt(*prompt)) return true;
  for (const char* name : {"n", "n_cmpl", "best_of"}) {
    const auto number = request.find(name);
    if (number && !is_at_most_one(*number)) return true;
  }
  return false;
}

Result<ModelFields> read_fields(const std::string& body) {
  json::ParseFault fault;
  const auto document = json::Document::parse(body, fault);
  if (!document) return invalid_json(body, fault);
  ModelFields fields;
  json::Faults faults;
  json::ObjectReader reader(document->root(), faults);
  reader.string("model", fields.model);
  reader.boolean("stream", fields.is_streamed);
  fields.is_several = asks_for_several(document->root());
  if (!faults.empty()) return invalid_request(faults);
  return fields;
}

// A whole answer that keeps its place among those of its sandbox until all of it has been sent.
class HeldAnswer final : public http::BodySource {
 public:
  explicit HeldAnswer(control::ModelAnswer answer) : answer_(std::move(answer)) {}
  io::Task<std::string> next() override { co_return std::exchange(answer_.whole, {}); }

 private:
  control::ModelAnswer answer_;
};

http::Response pass_on(control::ModelAnswer answer) {
  if (answer.events) return pass_on_events(std::move(answer.events));
  if (!answer.place) return http::Response::json(200, std::move(answer.whole));
  http::Response response = http::Response::json(200, {});
  response.source_size = answer.whole.size();
  response.source = std::make_shared<HeldAnswer>(std::move(answer));
  return response;
}

io::Task<http::Response> ask(Control& control, Call call) {
  if (call.who.models) LMSB_CO_CHECK(call.who.models->check_tokens());  // before its request is read
  LMSB_CO_TRY(ModelFields fields, read_fields(call.request.body));
  control::ModelRequest request;
  request.model = std::move(fields.model);
  request.path = call.request.path;
  request.body = std::move(call.request.body);
  request.is_streamed = fields.is_streamed;
  request.is_several = fields.is_several;
  LMSB_CO_TRY(auto answer, co_await control.ask_model(std::move(call.who), std::move(request)));
  co_return pass_on(std::move(answer));
}

}  // namespace

void add_openai_routes(RouteTable& table, Control& control) {
  table.add("POST", "/v1/chat/completions", [&control](Call call) { return ask(control, std::move(call)); });
  table.add("POST", "/v1/completions", [&control](Call call) { return ask(control, std::move(call)); });
}

}  // namespace lmsb::server
