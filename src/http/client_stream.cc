// Client: answers whose body is read as it comes.
#include <functional>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "base/text.h"
#include "http/answer_reader.h"
#include "http/client.h"
#include "http/client_wire.h"
#include "io/alarm.h"
#include "io/spawn.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

// Owns the connection.
class StreamedBodyReader final : public BodyReader {
 public:
  StreamedBodyReader(const asio::any_io_executor& loop, const ClientRequest& request, std::string step)
      : loop_(loop),
        step_(std::move(step)),
        silence_(request.silence),
        wire_(loop),
        reader_(request.max_body, request.method == "HEAD") {}

  // Both outlive the task.
  io::Task<void> open(const Endpoint& endpoint, const ClientRequest& request) {
    std::function<void()> stop = [this] { wire_.give_up(); };
    const io::Alarm alarm(loop_, io::Deadline::in(request.timeout), std::move(stop));
    const std::string limit = std::to_string(request.timeout.count()) + " ms";
    Status opened = co_await read_head(endpoint, request);
    if (opened.ok()) co_return opened;
    co_return explain(std::move(opened).error(), "no answer within " + limit);
  }

  io::Task<std::string> read() override {
    const bool cancelled = co_await io::is_cancelled();
    if (cancelled) co_return Error(ErrorCode::cancelled, step_ + ": cancelled");
    std::function<void()> stop = [this] { wire_.give_up(); };
    const auto deadline = silence_.count() == 0 ? io::Deadline::never() : io::Deadline::in(silence_);
    const io::Alarm alarm(loop_, deadline, std::move(stop));
    while (true) {
      std::string piece = std::exchange(reader_.response().body, {});
      if (!piece.empty() || reader_.is_complete()) co_return piece;
      Status more = co_await read_more();
      if (!more.ok()) co_return explain(std::move(more).error(), "the answer's body has stopped");
    }
  }

  Response& head() { return reader_.response(); }

 private:
  io::Task<void> read_head(const Endpoint& endpoint, const ClientRequest& request) {
    LMSB_CO_TRY(const std::string octets, to_octets(request, host_field(endpoint)));
    LMSB_CO_CHECK(co_await wire_.open(endpoint));
    // A server may answer before it has read all: what it says then is worth more than that it did not.
    Status written = co_await wire_.write(octets, {});
    while (!reader_.has_head()) {
      Status more = co_await read_more();
      if (!more.ok()) co_return written.ok() ? std::move(more).error() : std::move(written).error();
    }
    co_return Status();
  }

  io::Task<void> read_more() {
    LMSB_CO_TRY(const std::span<char> room, reader_.room());
    LMSB_CO_TRY(const std::size_t count, co_await wire_.read_some(room));
    co_return count == 0 ? reader_.end() : reader_.took(count);
  }

  Error explain(Error error, const std::string& when_late) const {
    if (wire_.gave_up()) return Error(ErrorCode::deadline_exceeded, step_ + ": " + when_late);
    return std::move(error).with_context(step_);
  }

  const asio::any_io_executor loop_;
  const std::string step_;
  const std::chrono::milliseconds silence_;
  ClientWire wire_;
  AnswerReader reader_;
};

}  // namespace

io::Task<StreamedAnswer> open_stream(Endpoint endpoint, ClientRequest request) {
  const auto loop = co_await asio::this_coro::executor;
  std::string step = request.method + " " + quoted(request.target) + " of " + describe(endpoint);
  const auto body = std::make_shared<StreamedBodyReader>(loop, request, std::move(step));
  LMSB_CO_CHECK(co_await body->open(endpoint, request));
  StreamedAnswer answer;
  answer.status = body->head().status;
  answer.headers = std::move(body->head().headers);
  answer.body = body;
  co_return answer;
}

}  // namespace lmsb::http
