// Client: answers whose body is read as it comes.
#include <array>
#include <charconv>
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

std::string to_hex(std::size_t number) {
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
  return {digits.data(), end};
}

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
    const std::string limit = std::to_string(request.timeout.count()) + " ms";
    Status opened = co_await ask(endpoint, request);
    if (opened.ok()) co_return opened;
    co_return explain(std::move(opened).error(), "no answer within " + limit);
  }

  io::Task<std::string> read() override {
    const bool cancelled = co_await io::is_cancelled();
    if (cancelled) co_return Error(ErrorCode::cancelled, step_ + ": cancelled");
    const auto deadline = silence_.count() == 0 ? io::Deadline::never() : io::Deadline::in(silence_);
    const io::Alarm alarm = give_up_at(deadline);
    while (true) {
      std::string piece = std::exchange(reader_.response().body, {});
      if (!piece.empty() || reader_.is_complete()) co_return piece;
      Status more = co_await read_more();
      if (!more.ok()) co_return explain(std::move(more).error(), "the answer's body has stopped");
    }
  }

  Response& head() { return reader_.response(); }

 private:
  io::Alarm give_up_at(io::Deadline deadline) {
    std::function<void()> stop = [this] { wire_.give_up(); };
    return io::Alarm(loop_, deadline, std::move(stop));
  }

  // A server may answer before it has read all: what it says then is worth more than that it did not.
  io::Task<void> ask(const Endpoint& endpoint, const ClientRequest& request) {
    io::Deadline deadline = io::Deadline::in(request.timeout);
    Status sent = co_await send(endpoint, request, deadline);
    if (request.source) {
      if (sent.ok()) sent = co_await send_source(*request.source, request.timeout);
      if (source_failed_) co_return std::move(sent).error();
      deadline = io::Deadline::in(request.timeout);
    }
    Status heard = co_await read_head(deadline);
    if (heard.ok() || sent.ok()) co_return heard;
    co_return std::move(sent).error();
  }

  io::Task<void> send(const Endpoint& endpoint, const ClientRequest& request, io::Deadline deadline) {
    const io::Alarm alarm = give_up_at(deadline);
    LMSB_CO_TRY(const std::string octets, to_octets(request, host_field(endpoint)));
    LMSB_CO_CHECK(co_await wire_.open(endpoint));
    co_return co_await wire_.write(octets, {});
  }

  // In chunks (RFC 9112 section 7.1).
  io::Task<void> send_source(BodySource& source, std::chrono::milliseconds limit) {
    for (std::string piece = "-"; !piece.empty();) {
      auto next = co_await source.next();
      source_failed_ = !next.ok();
      if (source_failed_) co_return std::move(next).error();
      piece = *std::move(next);
      const io::Alarm alarm = give_up_at(io::Deadline::in(limit));
      const std::string head = to_hex(piece.size()) + "\r\n";
      piece += "\r\n";
      LMSB_CO_CHECK(co_await wire_.write(head, piece));
      piece.resize(piece.size() - 2);
    }
    co_return Status();
  }

  io::Task<void> read_head(io::Deadline deadline) {
    const io::Alarm alarm = give_up_at(deadline);
    while (!reader_.has_head()) LMSB_CO_CHECK(co_await read_more());
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
  bool source_failed_ = false;
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
