// Client: answers that somebody else carries here, read from a pipe.
#include <cerrno>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "http/answer_reader.h"
#include "http/client.h"
#include "io/wait_fd.h"
#include "os/pipe.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

// Owns the pipe.
class PipedAnswer final : public BodyReader {
 public:
  PipedAnswer(const asio::any_io_executor& loop, UniqueFd pipe, Bytes max_body, std::chrono::milliseconds silence)
      : pipe_(std::move(pipe)), silence_(silence), watch_(loop, pipe_), reader_(max_body, false) {}

  io::Task<void> read_head(io::Deadline deadline) {
    while (!reader_.has_head()) LMSB_CO_CHECK(co_await read_more(deadline));
    co_return Status();
  }
  io::Task<void> read_all(io::Deadline deadline) {
    while (!reader_.is_complete()) LMSB_CO_CHECK(co_await read_more(deadline));
    co_return Status();
  }
  io::Task<std::string> read() override {
    const auto deadline = silence_.count() == 0 ? io::Deadline::never() : io::Deadline::in(silence_);
    while (true) {
      std::string piece = std::exchange(reader_.response().body, {});
      if (!piece.empty() || reader_.is_complete()) co_return piece;
      LMSB_CO_CHECK(co_await read_more(deadline));
    }
  }

  Response& response() { return reader_.response(); }

 private:
  io::Task<void> read_more(io::Deadline deadline) {
    // Also while there is always more: parts that count for nothing could go on for ever.
    if (deadline.passed()) co_return Error(ErrorCode::deadline_exceeded, "no complete answer within the time limit");
    LMSB_CO_CHECK(co_await watch_.readable(deadline));
    LMSB_CO_TRY(const std::span<char> room, reader_.room());
    const ssize_t count = os::read_pipe_now(pipe_.get(), room.data(), room.size());
    if (count < 0 && errno == EAGAIN) co_return Status();
    if (count < 0) co_return Error::from_errno(errno, "read the answer");
    co_return count == 0 ? reader_.end() : reader_.took(static_cast<std::size_t>(count));
  }

  const UniqueFd pipe_;
  const std::chrono::milliseconds silence_;
  io::FdWatch watch_;  // of the pipe: goes first
  AnswerReader reader_;
};

}  // namespace

io::Task<Response> read_answer(UniqueFd pipe, Bytes max_body, io::Deadline deadline) {
  const auto loop = co_await asio::this_coro::executor;
  PipedAnswer answer(loop, std::move(pipe), max_body, {});
  LMSB_CO_CHECK(co_await answer.read_all(deadline));
  co_return std::move(answer.response());
}

io::Task<StreamedAnswer> open_answer(UniqueFd pipe, Bytes max_body, io::Deadline head_by,
                                     std::chrono::milliseconds silence) {
  const auto loop = co_await asio::this_coro::executor;
  const auto body = std::make_shared<PipedAnswer>(loop, std::move(pipe), max_body, silence);
  LMSB_CO_CHECK(co_await body->read_head(head_by));
  StreamedAnswer answer;
  answer.status = body->response().status;
  answer.headers = std::move(body->response().headers);
  answer.body = body;
  co_return answer;
}

}  // namespace lmsb::http
