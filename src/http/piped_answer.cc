// Client: answers that somebody else carries here, read from a pipe.
#include <cstring>
#include <utility>

#include "http/answer_reader.h"
#include "http/client.h"

namespace lmsb::http {
namespace {

class PipedAnswer final : public BodyReader {
 public:
  PipedAnswer(io::ForeignPipe pipe, Bytes max_body, std::chrono::milliseconds silence)
      : pipe_(std::move(pipe)), silence_(silence), reader_(max_body, false) {}

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
    LMSB_CO_TRY(const std::span<char> room, reader_.room());
    LMSB_CO_TRY(const std::string piece, co_await pipe_.read(room.size(), deadline));
    if (piece.empty()) co_return reader_.end();
    std::memcpy(room.data(), piece.data(), std::min(piece.size(), room.size()));
    co_return reader_.took(piece.size());
  }

  io::ForeignPipe pipe_;
  const std::chrono::milliseconds silence_;
  AnswerReader reader_;
};

}  // namespace

io::Task<Response> read_answer(io::ForeignPipe pipe, Bytes max_body, io::Deadline deadline) {
  PipedAnswer answer(std::move(pipe), max_body, {});
  LMSB_CO_CHECK(co_await answer.read_all(deadline));
  co_return std::move(answer.response());
}

io::Task<StreamedAnswer> open_answer(io::ForeignPipe pipe, Bytes max_body, io::Deadline head_by,
                                     std::chrono::milliseconds silence) {
  const auto body = std::make_shared<PipedAnswer>(std::move(pipe), max_body, silence);
  LMSB_CO_CHECK(co_await body->read_head(head_by));
  StreamedAnswer answer;
  answer.status = body->response().status;
  answer.headers = std::move(body->response().headers);
  answer.body = body;
  co_return answer;
}

}  // namespace lmsb::http
