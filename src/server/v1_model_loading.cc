// /v1/models/{id}/load and unload.
#include <cstdint>
#include <optional>
#include <utility>

#include "json/reader.h"
#include "json/writer.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

constexpr std::int64_t kMostMilliseconds = 2'592'000'000;  // 30 days

http::Response told(const control::ModelInfo& model) {
  json::Writer out;
  write_model(out, model);
  return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> load(Control& control, Call call) {
  control::LoadModel wanted;
  wanted.name = call.request.params.at("id");
  std::optional<http::Response> refusal;
  const auto read = [&wanted](json::ObjectReader& reader) {
    bool is_pinned = false;
    if (reader.boolean("pin", is_pinned)) wanted.is_pinned = is_pinned;
    std::int64_t ms = 0;
    if (reader.integer("keep_alive_ms", ms, 0, kMostMilliseconds))
      wanted.keep_alive = ms == 0 ? control::kKeptWhileThereIsRoom : control::KeepAlive(ms);
  };
  if (!call.request.body.empty()) refusal = read_body(call.request.body, read);
  if (refusal) co_return *std::move(refusal);
  LMSB_CO_TRY(const auto model, co_await control.load_model(std::move(call.who), std::move(wanted)));
  co_return told(model);
}

io::Task<http::Response> unload(Control& control, Call call) {
  std::string id = call.request.params.at("id");
  LMSB_CO_TRY(const auto model, co_await control.unload_model(std::move(call.who), std::move(id)));
  co_return told(model);
}

}  // namespace

void add_model_loading_routes(RouteTable& table, Control& control) {
  table.add("POST", "/v1/models/{id}/load", [&control](Call call) { return load(control, std::move(call)); });
  table.add("POST", "/v1/models/{id}/unload", [&control](Call call) { return unload(control, std::move(call)); });
}

}  // namespace lmsb::server
