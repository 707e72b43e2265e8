// /v1/models: list, one of them (OpenAI's shape), pull.
#include <algorithm>

#include "base/text.h"
#include "json/writer.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

// Where the file lies is not told: it is the daemon's matter.
void write_model(json::Writer& out, const control::ModelInfo& model) {
  out.begin_object().key("id").string(model.id).key("object").string("model");
  out.key("created").integer(0).key("owned_by").string("lm-sandbox");
  out.key("size_bytes").unsigned_integer(model.size_bytes);
  out.key("default").boolean(model.is_default).key("loaded").boolean(model.loaded);
  out.key("demonstration").boolean(model.is_demonstration).end_object();
}

io::Task<http::Response> list(Control& control, Call call) {
  LMSB_CO_TRY(const auto models, co_await control.models(std::move(call.who)));
  json::Writer out;
  out.begin_object().key("object").string("list").key("data").begin_array();
  for (const control::ModelInfo& model : models) write_model(out, model);
  out.end_array().end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> get(Control& control, Call call) {
  const std::string& id = call.request.params.at("id");
  LMSB_CO_TRY(const auto models, co_await control.models(std::move(call.who)));
  const auto model = std::find_if(models.begin(), models.end(), [&id](const auto& each) { return each.id == id; });
  if (model == models.end())
    co_return Error(ErrorCode::not_found, "no model is named " + quoted(id))
        .with_slug("model_not_found")
        .with_hint("GET /v1/models lists them; lm-sandbox model pull adds one");
  json::Writer out;
  write_model(out, *model);
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> pull(Control& control, Call call) {
  control::PullModel wanted;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    reader.string("source", wanted.source, json::Need::required);
    reader.string("name", wanted.name);
    reader.string("handle", wanted.handle);
  });
  if (refusal) co_return *std::move(refusal);
  LMSB_CO_TRY(const auto model, co_await control.pull_model(std::move(call.who), std::move(wanted)));
  json::Writer out;
  write_model(out, model);
  co_return http::Response::json(201, std::move(out).str());
}

}  // namespace

void add_model_list_routes(RouteTable& table, Control& control) {
  table.add("GET", "/v1/models", [&control](Call call) { return list(control, std::move(call)); });
  table.add("GET", "/v1/models/{id}", [&control](Call call) { return get(control, std::move(call)); });
}

void add_model_routes(RouteTable& table, Control& control) {
  add_model_list_routes(table, control);
  add_model_detail_routes(table, control);
  table.add("POST", "/v1/models/pull", [&control](Call call) { return pull(control, std::move(call)); });
}

}  // namespace lmsb::server
