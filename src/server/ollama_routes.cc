#include "server/ollama_routes.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "http/body.h"
#include "json/writer.h"
#include "server/model_asking.h"
#include "server/ollama_answers.h"
#include "server/ollama_requests.h"

namespace lmsb::server {
namespace {

using control::Control;

// The state of Ollama's API that is spoken here: its clients compare it with what they need.
constexpr const char* kApiVersion = "0.33.0";

using Read = Result<OllamaRequest> (*)(const std::string& body);

http::Response nothing(const OllamaAnswer& answer, const char* reason, bool is_streamed) {
  std::string body = ollama_nothing(answer, reason);
  if (!is_streamed) return http::Response::json(200, std::move(body));
  return http::Response::text(200, body + "\n", "application/x-ndjson");
}

io::Task<http::Response> answer(Control& control, Call call, Read read, bool is_chat) {
  LMSB_CO_CHECK(check_may_ask(call.who));
  LMSB_CO_TRY(OllamaRequest request, read(call.request.body));
  OllamaAnswer form;
  form.model = request.name;
  form.is_chat = is_chat;
  const bool is_streamed = std::exchange(request.asks.is_streamed, request.asks.is_streamed && !request.only_loads);
  if (request.only_unloads) {
    LMSB_CO_CHECK(co_await control.unload_model(std::move(call.who), std::move(request.asks.model)));
    co_return nothing(form, "unload", is_streamed);
  }
  auto asking = control.ask_model(std::move(call.who), std::move(request.asks));
  LMSB_CO_TRY(auto answer, co_await std::move(asking));
  if (request.only_loads) co_return nothing(form, "load", is_streamed);
  if (answer.events) co_return pass_on_events(std::move(answer.events), ollama_form(std::move(form)));
  LMSB_CO_TRY(answer.whole, ollama_answer(form, answer.whole));
  co_return send_whole(std::move(answer));
}

io::Task<http::Response> embed(Control& control, Call call, Read read, bool is_older) {
  LMSB_CO_CHECK(check_may_ask(call.who));
  LMSB_CO_TRY(OllamaRequest request, read(call.request.body));
  OllamaAnswer form;
  form.model = request.name;
  auto asking = control.ask_model(std::move(call.who), std::move(request.asks));
  LMSB_CO_TRY(auto answer, co_await std::move(asking));
  auto body = is_older ? ollama_embedding_of(answer.whole) : ollama_embeddings_of(form, answer.whole);
  LMSB_CO_TRY(answer.whole, std::move(body));
  co_return send_whole(std::move(answer));
}

using Write = std::string (*)(const std::vector<control::ModelInfo>& models);

io::Task<http::Response> list(Control& control, Call call, Write write) {
  LMSB_CO_TRY(const auto models, co_await control.models(std::move(call.who)));
  co_return http::Response::json(200, write(models));
}

io::Task<http::Response> show(Control& control, Call call) {
  LMSB_CO_TRY(const std::string name, ollama_model(call.request.body));
  LMSB_CO_TRY(const auto models, co_await control.models(std::move(call.who)));
  const auto model = std::find_if(models.begin(), models.end(), [&name](const auto& each) { return each.id == name; });
  if (model == models.end())
    co_return Error(ErrorCode::not_found, "model " + quoted(name) + " not found")
        .with_slug("model_not_found")
        .with_hint("GET /api/tags lists them; lm-sandbox model pull adds one");
  co_return http::Response::json(200, ollama_show(*model));
}

io::Task<http::Response> version(Call) {
  json::Writer out;
  out.begin_object().key("version").string(kApiVersion).end_object();
  co_return http::Response::json(200, std::move(out).str());
}

}  // namespace

void add_ollama_routes(RouteTable& table, Control& control) {
  const auto ask = [&](const char* path, Read read, bool is_chat) {
    table.add("POST", path,
              [&control, read, is_chat](Call call) { return answer(control, std::move(call), read, is_chat); });
  };
  const auto make = [&](const char* path, Read read, bool is_older) {
    table.add("POST", path,
              [&control, read, is_older](Call call) { return embed(control, std::move(call), read, is_older); });
  };
  const auto tell = [&](const char* path, Write write) {
    table.add("GET", path, [&control, write](Call call) { return list(control, std::move(call), write); });
  };
  table.add("GET", "/api/version", &version);
  tell("/api/tags", ollama_tags);
  tell("/api/ps", ollama_ps);
  table.add("POST", "/api/show", [&control](Call call) { return show(control, std::move(call)); });
  ask("/api/chat", ollama_chat, true);
  ask("/api/generate", ollama_generate, false);
  make("/api/embed", ollama_embed, false);
  make("/api/embeddings", ollama_embeddings, true);
}

}  // namespace lmsb::server
