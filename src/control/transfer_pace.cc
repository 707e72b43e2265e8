#include "control/transfer_pace.h"

#include <string>

namespace lmsb::control {

io::Task<void> read_rest(http::BodyReader& body, TransferPace& pace) {
  while (true) {
    LMSB_CO_TRY(const std::string piece, co_await body.read());
    if (piece.empty()) co_return Status();
    LMSB_CO_CHECK(pace.moved(piece.size(), TransferPace::Clock::now()));
  }
}

}  // namespace lmsb::control
