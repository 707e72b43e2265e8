#include "control/transfer_pace.h"

#include <gtest/gtest.h>

#include "io/run_blocking.h"

namespace lmsb::control {
namespace {

using std::chrono::minutes;

TEST(TransferPace, AsksNothingOfTheFirstMinutes) {
  const auto begin = TransferPace::Clock::now();
  TransferPace pace(begin);
  EXPECT_TRUE(pace.moved(1, begin).ok());
  EXPECT_TRUE(pace.moved(1, begin + minutes(9)).ok());
  EXPECT_EQ(pace.moved(1, begin + minutes(10)).error().slug(), "snapshot_transfer_lost");
}

TEST(TransferPace, CountsAllThatMovedSinceTheBeginning) {
  const auto begin = TransferPace::Clock::now();
  TransferPace pace(begin);
  EXPECT_TRUE(pace.moved(TransferPace::kLeast * 60 * 20, begin).ok());
  EXPECT_TRUE(pace.moved(1, begin + minutes(20)).ok()) << "it stood still for long, and was fast before";
  EXPECT_FALSE(pace.moved(1, begin + minutes(21)).ok());
  EXPECT_TRUE(pace.moved(TransferPace::kLeast * 60, begin + minutes(21)).ok());
}

TEST(TransferPace, IsThatOfWhatIsReadToItsEndAlone) {
  TransferPace fast;
  const auto body = http::reader_of("rest");
  EXPECT_TRUE(io::run_blocking(read_rest(*body, fast)).ok());
  TransferPace slow(TransferPace::Clock::now() - minutes(11));
  const auto other = http::reader_of("rest");
  EXPECT_EQ(io::run_blocking(read_rest(*other, slow)).error().slug(), "snapshot_transfer_lost");
}

}  // namespace
}  // namespace lmsb::control
