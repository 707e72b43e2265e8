#include "server/once.h"

#include <map>
#include <memory>
#include <utility>

#include "control/outlive.h"
#include "io/spawn.h"

namespace lmsb::server {
namespace {

constexpr std::size_t kMaxKey = 255;

Result<IdempotentAnswers::Begun> begin(IdempotentAnswers& answers, Call& call) {
  const auto key = call.request.headers.find("Idempotency-Key");
  if (!key) return IdempotentAnswers::Begun();
  if (key->empty() || key->size() > kMaxKey)
    return Error(ErrorCode::invalid_argument, "an Idempotency-Key has 1 to 255 characters")
        .with_slug("invalid_idempotency_key")
        .with_hint("a random UUID is a good one");
  LMSB_CHECK(control::check_may(call.who, control::Operation::write));  // who may not has nothing to remember
  auto asked = std::make_shared<control::AnswerKey>();
  asked->owner = call.who.name;
  asked->key = std::string(*key);
  asked->request = sha256(call.request.path + "\n" + call.request.body);
  call.promised = asked;
  return answers.begin(*asked);
}

http::Response replayed(std::string body) {
  http::Response response = http::Response::json(201, std::move(body));
  response.headers.set("Idempotent-Replayed", "true");
  return response;
}

constexpr std::size_t kMaxLeft = 16;  // requests of one principal that go on without their clients

using Counts = std::map<std::string, std::size_t>;

struct Once {
  Handler handler;
  std::shared_ptr<Counts> left = std::make_shared<Counts>();  // that go on without their clients, by principal
};

// A request that is being carried out: once its client has left it, it counts.
class Underway {
 public:
  Underway(std::shared_ptr<Counts> left, std::string by) : left_(std::move(left)), by_(std::move(by)) {}
  Underway(const Underway&) = delete;
  Underway& operator=(const Underway&) = delete;
  ~Underway() {
    if (is_left_ && --(*left_)[by_] == 0) left_->erase(by_);
  }
  void leave() {
    if (!std::exchange(is_left_, true)) ++(*left_)[by_];
  }

 private:
  const std::shared_ptr<Counts> left_;
  const std::string by_;
  bool is_left_ = false;
};

Status check_left(const Counts& left, const std::string& by) {
  const auto found = left.find(by);
  if (found == left.end() || found->second < kMaxLeft) return {};
  return Error(ErrorCode::resource_exhausted, "too many of your requests go on whose clients have gone away")
      .with_slug("sandbox_busy")
      .with_hint("try again in a moment");
}

using KeptOnce = std::shared_ptr<const Once>;

// `underway` is let go of when it ends.
io::Task<http::Response> carry_out_in_turn(KeptOnce once, IdempotentAnswers::Turn turn, Call call,
                                           std::shared_ptr<Underway> underway) {
  const auto counts = std::move(underway);
  LMSB_CO_TRY(auto response, co_await once->handler(std::move(call)));
  if (response.status == 201) turn.finish(response.body);
  co_return response;
}

// `answers` is the table's.
io::Task<http::Response> carry_out(IdempotentAnswers& answers, KeptOnce once, Call call) {
  LMSB_CO_TRY(auto begun, begin(answers, call));
  if (!begun.replay.empty()) co_return replayed(std::move(begun.replay));
  if (!begun.turn) co_return co_await once->handler(std::move(call));
  LMSB_CO_CHECK(check_left(*once->left, call.who.name));
  boost::asio::io_context* loop = co_await io::this_loop();
  auto underway = std::make_shared<Underway>(once->left, call.who.name);
  const std::weak_ptr<Underway> still = underway;
  auto task = carry_out_in_turn(std::move(once), *std::move(begun.turn), std::move(call), std::move(underway));
  auto response = co_await control::outlive(*loop, std::move(task));
  const auto running = still.lock();
  if (running && !response.ok() && response.error().code() == ErrorCode::cancelled) running->leave();
  co_return response;
}

}  // namespace

Handler once(IdempotentAnswers& answers, Handler handler) {
  auto once = std::make_shared<Once>();
  once->handler = std::move(handler);
  const KeptOnce kept = std::move(once);
  return [&answers, kept](Call call) { return carry_out(answers, kept, std::move(call)); };
}

}  // namespace lmsb::server
