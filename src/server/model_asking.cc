#include "server/model_asking.h"

#include <algorithm>
#include <utility>

#include "control/model_allowance.h"
#include "http/body.h"
#include "json/reader.h"
#include "json/value.h"
#include "server/answers.h"

namespace lmsb::server {
namespace {

using control::ModelWork;

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

bool asks_for_several_answers(json::Value request) {
  const auto prompt = request.find("prompt");
  if (prompt && !is_one_prompt(*prompt)) return true;
  for (const char* name : {"n", "n_cmpl", "best_of"}) {
    const auto number = request.find(name);
    if (number && !is_at_most_one(*number)) return true;
  }
  return false;
}

bool asks_for_several_embeddings(json::Value request) {
  for (const char* name : {"input", "content"}) {
    const auto texts = request.find(name);
    if (texts && texts->items().size() > 1 && !is_one_prompt(*texts)) return true;
  }
  return false;
}

Result<ModelFields> read_fields(const std::string& body, ModelWork work) {
  json::ParseFault fault;
  const auto document = json::Document::parse(body, fault);
  if (!document) return invalid_json(body, fault);
  ModelFields fields;
  json::Faults faults;
  json::ObjectReader reader(document->root(), faults);
  reader.string("model", fields.model);
  if (work == ModelWork::answer) reader.boolean("stream", fields.is_streamed);
  fields.is_several = work == ModelWork::embedding ? asks_for_several_embeddings(document->root())
                                                   : asks_for_several_answers(document->root());
  if (!faults.empty()) return invalid_request(faults);
  return fields;
}

class HeldAnswer final : public http::BodySource {
 public:
  explicit HeldAnswer(control::ModelAnswer answer) : answer_(std::move(answer)) {}
  io::Task<std::string> next() override { co_return std::exchange(answer_.whole, {}); }

 private:
  control::ModelAnswer answer_;
};

}  // namespace

Status check_may_ask(const control::Principal& who) { return who.models ? who.models->check_tokens() : Status(); }

io::Task<control::ModelAnswer> ask_as_it_is(control::Control& control, Call call, ModelWork work) {
  LMSB_CO_CHECK(check_may_ask(call.who));
  LMSB_CO_TRY(ModelFields fields, read_fields(call.request.body, work));
  control::ModelRequest request;
  request.model = std::move(fields.model);
  request.path = call.request.path;
  request.body = std::move(call.request.body);
  request.work = work;
  request.is_streamed = fields.is_streamed;
  request.is_several = fields.is_several;
  auto asking = control.ask_model(std::move(call.who), std::move(request));
  co_return co_await std::move(asking);
}

http::Response send_whole(control::ModelAnswer answer) {
  if (!answer.place) return http::Response::json(200, std::move(answer.whole));
  http::Response response = http::Response::json(200, {});
  response.source_size = answer.whole.size();
  response.source = std::make_shared<HeldAnswer>(std::move(answer));
  return response;
}

}  // namespace lmsb::server
