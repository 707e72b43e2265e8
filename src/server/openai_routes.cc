#include "server/openai_routes.h"

#include <utility>

#include "http/body.h"
#include "server/model_asking.h"
#include "server/model_events.h"
#include "server/response_events.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::ModelWork;

using MakeForm = std::unique_ptr<EventForm> (*)();

io::Task<http::Response> ask(Control& control, Call call, ModelWork work, MakeForm form) {
  LMSB_CO_TRY(auto answer, co_await ask_as_it_is(control, std::move(call), work));
  if (answer.events) co_return pass_on_events(std::move(answer.events), form());
  co_return send_whole(std::move(answer));
}

}  // namespace

void add_openai_routes(RouteTable& table, Control& control) {
  const auto add = [&](const char* path, ModelWork work, MakeForm form) {
    table.add("POST", path, [&control, work, form](Call call) { return ask(control, std::move(call), work, form); });
  };
  add("/v1/chat/completions", ModelWork::answer, openai_form);
  add("/v1/completions", ModelWork::answer, openai_form);
  add("/v1/embeddings", ModelWork::embedding, openai_form);
  add("/v1/responses", ModelWork::answer, response_form);
  add("/v1/responses/input_tokens", ModelWork::counting, openai_form);
}

}  // namespace lmsb::server
