// /api/pull and /api/delete: what Ollama's clients do to models, for administrators.
#include <optional>
#include <utility>

#include "json/reader.h"
#include "json/value.h"
#include "json/writer.h"
#include "server/answers.h"
#include "server/event_stream.h"
#include "server/ollama_requests.h"
#include "server/ollama_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::PullStep;

constexpr std::size_t kShownDigits = 12;

// In Ollama's words, by which its clients draw their progress.
std::string status_of(const control::PullNews& news) {
  if (news.model) return "success";
  switch (news.step) {
    case PullStep::looking: return "pulling manifest";
    case PullStep::bringing: return "pulling " + news.sha256.substr(0, kShownDigits);
    case PullStep::checking: return "verifying sha256 digest";
  }
  return "";
}

std::string line_of(const control::PullNews& news) {
  json::Writer out;
  out.begin_object().key("status").string(status_of(news));
  if (!news.model && news.step == PullStep::bringing) {
    if (!news.sha256.empty()) out.key("digest").string("sha256:" + news.sha256);
    if (news.whole > 0) out.key("total").unsigned_integer(news.whole);
    out.key("completed").unsigned_integer(news.done);
  }
  return std::move(out.end_object()).str();
}

class PullLines final : public EventSequence {
 public:
  explicit PullLines(std::unique_ptr<control::PullStream> pull) : pull_(std::move(pull)) {}

  io::Task<std::optional<StreamEvent>> next(io::Deadline deadline) override {
    if (has_ended_) co_return std::nullopt;
    auto news = co_await pull_->next(deadline);
    const bool is_passed_on =
        !news.ok() && (news.error().code() == ErrorCode::cancelled ||
                       (news.error().code() == ErrorCode::deadline_exceeded && deadline.passed()));
    if (is_passed_on) co_return std::move(news).error();
    has_ended_ = !news.ok() || news->model.has_value();
    if (!news.ok()) co_return StreamEvent{error_answer(Dialect::ollama, news.error()).body, "", ""};
    co_return StreamEvent{line_of(*news), "", ""};
  }

 private:
  const std::unique_ptr<control::PullStream> pull_;
  bool has_ended_ = false;
};

io::Task<http::Response> wait_for(std::unique_ptr<control::PullStream> pull) {
  while (true) {
    LMSB_CO_TRY(const auto news, co_await pull->next(io::Deadline::never()));
    if (news.model) co_return http::Response::json(200, line_of(news));
  }
}

io::Task<http::Response> pull(Control& control, Call call) {
  LMSB_CO_TRY(const OllamaPull asked, ollama_pull(call.request.body));
  control::PullModel wanted;
  wanted.source = asked.model;
  LMSB_CO_TRY(auto pull, co_await control.pull_model(std::move(call.who), std::move(wanted)));
  if (!asked.is_streamed) co_return co_await wait_for(std::move(pull));
  http::Response response = event_answer(std::make_unique<PullLines>(std::move(pull)), AnswerFormat::ndjson);
  response.is_endless = true;
  co_return response;
}

io::Task<http::Response> remove(Control& control, Call call) {
  LMSB_CO_TRY(std::string name, ollama_model(call.request.body));
  LMSB_CO_CHECK(co_await control.remove_model(std::move(call.who), std::move(name)));
  co_return http::Response::json(200, "{}");
}

}  // namespace

void add_ollama_store_routes(RouteTable& table, Control& control) {
  table.add("POST", "/api/pull", [&control](Call call) { return pull(control, std::move(call)); });
  table.add("DELETE", "/api/delete", [&control](Call call) { return remove(control, std::move(call)); });
}

}  // namespace lmsb::server
