#include "server/anthropic_routes.h"

#include <utility>

#include "http/body.h"
#include "server/anthropic_answers.h"
#include "server/model_asking.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::ModelWork;

io::Task<http::Response> answer(Control& control, Call call) {
  LMSB_CO_TRY(auto answer, co_await ask_as_it_is(control, std::move(call), ModelWork::answer));
  if (answer.events) co_return pass_on_events(std::move(answer.events), anthropic_form());
  answer.whole = mended_message(answer.whole);
  co_return send_whole(std::move(answer));
}

io::Task<http::Response> count(Control& control, Call call) {
  LMSB_CO_TRY(auto answer, co_await ask_as_it_is(control, std::move(call), ModelWork::counting));
  co_return send_whole(std::move(answer));
}

}  // namespace

void add_anthropic_routes(RouteTable& table, Control& control) {
  table.add("POST", "/v1/messages", [&control](Call call) { return answer(control, std::move(call)); });
  table.add("POST", "/v1/messages/count_tokens", [&control](Call call) { return count(control, std::move(call)); });
}

}  // namespace lmsb::server
