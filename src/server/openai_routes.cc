#include "server/openai_routes.h"

#include <string>
#include <utility>

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
};

Result<ModelFields> read_fields(const std::string& body) {
  json::ParseFault fault;
  const auto document = json::Document::parse(body, fault);
  if (!document) return invalid_json(body, fault);
  ModelFields fields;
  json::Faults faults;
  json::ObjectReader reader(document->root(), faults);
  reader.string("model", fields.model);
  reader.boolean("stream", fields.is_streamed);
  if (!faults.empty()) return invalid_request(faults);
  return fields;
}

io::Task<http::Response> ask(Control& control, Call call) {
  LMSB_CO_TRY(ModelFields fields, read_fields(call.request.body));
  control::ModelRequest request;
  request.model = std::move(fields.model);
  request.path = call.request.path;
  request.body = std::move(call.request.body);
  request.is_streamed = fields.is_streamed;
  LMSB_CO_TRY(auto answer, co_await control.ask_model(std::move(call.who), std::move(request)));
  co_return answer.events ? pass_on_events(std::move(answer.events))
                          : http::Response::json(200, std::move(answer.whole));
}

}  // namespace

void add_openai_routes(RouteTable& table, Control& control) {
  table.add("POST", "/v1/chat/completions", [&control](Call call) { return ask(control, std::move(call)); });
  table.add("POST", "/v1/completions", [&control](Call call) { return ask(control, std::move(call)); });
}

}  // namespace lmsb::server
