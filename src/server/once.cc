#include "server/once.h"

#include <memory>
#include <utility>

#include "control/outlive.h"
#include "io/this_loop.h"

namespace lmsb::server {
namespace {

constexpr std::size_t kMaxKey = 255;

Result<IdempotentAnswers::Begun> begin(IdempotentAnswers& answers, const Call& call) {
  const auto key = call.request.headers.find("Idempotency-Key");
  if (!key) return IdempotentAnswers::Begun();
  if (key->empty() || key->size() > kMaxKey)
    return Error(ErrorCode::invalid_argument, "an Idempotency-Key has 1 to 255 characters")
        .with_slug("invalid_idempotency_key");
  return answers.begin(call.who.name + "\n" + std::string(*key), sha256(call.request.path + "\n" + call.request.body));
}

http::Response replayed(std::string body) {
  http::Response response = http::Response::json(201, std::move(body));
  response.headers.set("Idempotent-Replayed", "true");
  return response;
}

using KeptHandler = std::shared_ptr<const Handler>;

io::Task<http::Response> carry_out_in_turn(KeptHandler handler, IdempotentAnswers::Turn turn, Call call) {
  LMSB_CO_TRY(auto response, co_await (*handler)(std::move(call)));
  if (response.status == 201) turn.finish(response.body);
  co_return response;
}

// `answers` is the table's.
io::Task<http::Response> carry_out(IdempotentAnswers& answers, KeptHandler handler, Call call) {
  LMSB_CO_TRY(auto begun, begin(answers, call));
  if (!begun.replay.empty()) co_return replayed(std::move(begun.replay));
  if (!begun.turn) co_return co_await (*handler)(std::move(call));
  boost::asio::io_context* loop = co_await io::this_loop();
  auto task = carry_out_in_turn(std::move(handler), *std::move(begun.turn), std::move(call));
  co_return co_await control::outlive(*loop, std::move(task));
}

}  // namespace

Handler once(IdempotentAnswers& answers, Handler handler) {
  const auto kept = std::make_shared<const Handler>(std::move(handler));
  return [&answers, kept](Call call) { return carry_out(answers, kept, std::move(call)); };
}

}  // namespace lmsb::server
