#include "http/body.h"

#include <utility>

namespace lmsb::http {
namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10U;

class WholeBody final : public BodyReader {
 public:
  explicit WholeBody(std::string whole) : whole_(std::move(whole)) {}

  io::Task<std::string> read() override {
    std::string piece = whole_.substr(begin_, kPiece);
    begin_ += piece.size();
    co_return piece;
  }

 private:
  const std::string whole_;
  std::size_t begin_ = 0;
};

}  // namespace

io::Task<BodyPiece> BodySource::next_piece() {
  BodyPiece piece;
  LMSB_CO_TRY(piece.octets, co_await next());
  co_return piece;
}

std::shared_ptr<BodyReader> reader_of(std::string whole) { return std::make_shared<WholeBody>(std::move(whole)); }

}  // namespace lmsb::http
