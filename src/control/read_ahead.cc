#include "control/read_ahead.h"

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"
#include "io/event.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

constexpr std::size_t kOfPiece = 128;  // what one is kept by, beside its octets

struct Kept {
  explicit Kept(boost::asio::io_context& loop) : arrived(loop) {}
  void add(std::string piece) {
    size += piece.size() + kOfPiece;
    pieces.push_back(std::move(piece));
  }
  std::string take() {
    std::string piece = std::move(pieces.front());
    pieces.pop_front();
    size -= piece.size() + kOfPiece;
    return piece;
  }
  std::deque<std::string> pieces;
  std::size_t size = 0;
  std::optional<Status> end;  // of what comes
  io::Event arrived;
};

Error not_read(Bytes most) {
  return Error(ErrorCode::resource_exhausted, "more than " + format_bytes(most) + " of the answer were not read")
      .with_slug("answer_not_read")
      .with_hint("read an answer as it comes, or ask for less");
}

io::Always<void> fetch(std::shared_ptr<Kept> kept, std::shared_ptr<http::BodyReader> octets, Bytes most) {
  while (!kept->end) {
    auto piece = co_await octets->read();
    if (!piece.ok()) {
      kept->end = Status(std::move(piece).error());
    } else if (piece->empty()) {
      kept->end = Status();
    } else if (kept->size + piece->size() > most.count()) {
      kept->end = Status(not_read(most));
    } else {
      kept->add(*std::move(piece));
    }
    if (kept->end) octets.reset();  // who reads finds it counted
    kept->arrived.notify_all();
  }
}

class ReadAhead final : public http::BodyReader {
 public:
  ReadAhead(boost::asio::io_context& loop, std::shared_ptr<http::BodyReader> octets, std::shared_ptr<const void> place,
            Bytes most)
      : kept_(std::make_shared<Kept>(loop)), place_(std::move(place)) {
    io::spawn(loop, fetch(kept_, std::move(octets), most), canceller_);
  }
  ~ReadAhead() override { canceller_.cancel(); }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  io::Task<std::string> read() override {
    while (kept_->pieces.empty() && !kept_->end) LMSB_CO_CHECK(co_await kept_->arrived.wait());
    if (!kept_->pieces.empty()) co_return kept_->take();
    if (!kept_->end->ok()) co_return kept_->end->error();
    co_return std::string();
  }

 private:
  const std::shared_ptr<Kept> kept_;
  const std::shared_ptr<const void> place_;
  io::Canceller canceller_;
};

}  // namespace

std::shared_ptr<http::BodyReader> read_ahead(boost::asio::io_context& loop, std::shared_ptr<http::BodyReader> octets,
                                             std::shared_ptr<const void> place, Bytes most) {
  return std::make_shared<ReadAhead>(loop, std::move(octets), std::move(place), most);
}

}  // namespace lmsb::control
