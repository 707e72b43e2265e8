#include "server/once.h"

#include <map>
#include <memory>
#include <utility>

#include "base/digest.h"
#include "control/outlive.h"
#include "control/transfer_pace.h"
#include "http/body.h"
#include "http/target.h"
#include "io/spawn.h"
#include "json/value.h"

namespace lmsb::server {
namespace {

constexpr std::size_t kMaxKey = 255;

// What is asked for, but for the body.
std::string words_of(const http::Request& request) {
  std::string words = request.path;
  for (const auto& [name, value] : request.query)
    words += "\n" + http::percent_encode(name) + "=" + http::percent_encode(value);
  return words + "\n";
}

// A body that is read as it comes. Its end says what was asked for: `asked` knows it before the reader does.
class SummedBody final : public http::BodyReader {
 public:
  SummedBody(std::shared_ptr<http::BodyReader> body, const std::string& words,
             std::shared_ptr<control::AnswerKey> asked)
      : shared_(std::make_shared<Shared>()) {
    shared_->body = std::move(body);
    shared_->asked = std::move(asked);
    shared_->sum.add(words);
  }
  io::Task<std::string> read() override { return read_from(shared_); }

 private:
  struct Shared {
    std::shared_ptr<http::BodyReader> body;
    std::shared_ptr<control::AnswerKey> asked;
    Sha256Sum sum;
    bool is_over = false;
  };
  static io::Task<std::string> read_from(std::shared_ptr<Shared> shared) {
    if (shared->is_over) co_return std::string();
    LMSB_CO_TRY(std::string piece, co_await shared->body->read());
    shared->sum.add(piece);
    if (!piece.empty()) co_return std::move(piece);
    shared->is_over = true;
    shared->asked->request = shared->sum.finish();
    co_return std::move(piece);
  }

  const std::shared_ptr<Shared> shared_;
};

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
  const std::string words = words_of(call.request);
  call.promised = asked;
  if (call.request.incoming) {
    call.request.incoming = std::make_shared<SummedBody>(std::move(call.request.incoming), words, asked);
    return answers.begin_unread(*asked);
  }
  asked->request = sha256(words + call.request.body);
  return answers.begin(*asked);
}

// Whether what is sent again, as it comes, is what was answered.
io::Task<void> check_same(Call call, Sha256 request) {
  if (!call.request.incoming) co_return Status();
  control::TransferPace pace;
  LMSB_CO_CHECK(co_await control::read_rest(*call.request.incoming, pace));
  if (call.promised->request != request) co_return IdempotentAnswers::reused();
  co_return Status();
}

// `location` is "" where there is none, else what stands before the id of what was made.
void add_location(http::Response& response, const std::string& location) {
  if (location.empty()) return;
  json::ParseFault fault;
  const auto made = json::Document::parse(response.body, fault);
  const auto id = made ? made->root().find("id") : std::nullopt;
  if (id && id->string()) response.headers.set("Location", location + std::string(*id->string()));
}

http::Response replayed(std::string body, const std::string& location) {
  http::Response response = http::Response::json(201, std::move(body));
  response.headers.set("Idempotent-Replayed", "true");
  add_location(response, location);
  return response;
}

constexpr std::size_t kMaxLeft = 16;  // requests of one principal that go on without their clients

using Counts = std::map<std::string, std::size_t>;

struct Once {
  Handler handler;
  std::string location;
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
  const auto asked = call.promised;
  auto response = co_await once->handler(std::move(call));
  if (response.ok() && response->status == 201) turn.finish(response->body, asked->request);
  co_return response;
}

// `answers` is the table's.
io::Task<http::Response> carry_out(IdempotentAnswers& answers, KeptOnce once, Call call) {
  LMSB_CO_TRY(auto begun, begin(answers, call));
  if (!begun.replay.empty()) {
    LMSB_CO_CHECK(co_await check_same(std::move(call), begun.request));
    co_return replayed(std::move(begun.replay), once->location);
  }
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

Handler once(IdempotentAnswers& answers, std::string location, Handler handler) {
  auto once = std::make_shared<Once>();
  once->handler = std::move(handler);
  once->location = std::move(location);
  const KeptOnce kept = std::move(once);
  return [&answers, kept](Call call) { return carry_out(answers, kept, std::move(call)); };
}

}  // namespace lmsb::server
