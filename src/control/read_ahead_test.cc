#include "control/read_ahead.h"

#include <string>

#include <gtest/gtest.h>

#include "io/event.h"
#include "io/test_run_soon.h"

namespace lmsb::control {
namespace {

// So many pieces, and then its end, or none.
class Source final : public http::BodyReader {
 public:
  Source(int pieces, bool ends, bool* is_there) : pieces_(pieces), ends_(ends), is_there_(is_there) {
    *is_there_ = true;
  }
  ~Source() override { *is_there_ = false; }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  io::Task<std::string> read() override {
    if (pieces_-- > 0) co_return std::string(1000, 'x');
    if (ends_) co_return std::string();
    auto* loop = co_await io::this_loop();
    io::Event never(*loop);
    LMSB_CO_CHECK(co_await never.wait());
    co_return std::string();
  }

 private:
  int pieces_;
  bool ends_;
  bool* is_there_;
};

class ReadAhead : public testing::Test {
 protected:
  void start(int pieces, bool ends, Bytes most = kMostReadAhead) {
    ahead_ = read_ahead(loop_, std::make_shared<Source>(pieces, ends, &is_there_), place_, most);
    turn();
  }
  void turn() {
    loop_.restart();
    loop_.poll();
  }
  // All that can be read, and the slug of the error that ends it.
  std::string rest() {
    std::string all;
    while (true) {
      auto piece = io::run_soon(loop_, ahead_->read());
      if (!piece.ok()) return all + "!" + std::string(piece.error().slug());
      if (piece->empty()) return all;
      all += *piece;
    }
  }
  boost::asio::io_context loop_{1};
  std::shared_ptr<int> place_ = std::make_shared<int>();
  bool is_there_ = false;
  std::shared_ptr<http::BodyReader> ahead_;
};

TEST_F(ReadAhead, LetsGoOfWhatHasEndedBeforeAnybodyReads) {
  start(3, true);
  EXPECT_FALSE(is_there_);
  EXPECT_EQ(place_.use_count(), 2) << "and of its place when it has been read";
  EXPECT_EQ(rest(), std::string(3000, 'x'));
  ahead_.reset();
  EXPECT_EQ(place_.use_count(), 1);
}

TEST_F(ReadAhead, EndsWithWhoReads) {
  start(3, false);
  EXPECT_TRUE(is_there_);
  ahead_.reset();
  turn();
  EXPECT_FALSE(is_there_);
}

TEST_F(ReadAhead, KeepsNoMoreThanItMay) {
  start(1000, false, Bytes(10'000));
  EXPECT_FALSE(is_there_);
  EXPECT_EQ(rest(), std::string(8000, 'x') + "!answer_not_read");
}

}  // namespace
}  // namespace lmsb::control
