#include "control/model_turns.h"

#include <vector>

#include <gtest/gtest.h>

#include "io/spawn.h"

namespace lmsb::control {
namespace {

struct Held {
  std::string who;
  ModelTurns::Turn turn;
};

io::Always<void> take(ModelTurns* turns, std::string model, std::string who, std::vector<Held>* held) {
  auto turn = co_await turns->take(std::move(model), who);
  if (turn.ok()) held->push_back({std::move(who), *std::move(turn)});
}

class Turns : public testing::Test {
 protected:
  void ask(const std::string& who, const std::string& model = "tiny") {
    io::spawn(loop_, take(&turns_, model, who, &held_));
    loop_.restart();
    loop_.poll();
  }
  // Ends the one there is, and says whose turn it is then.
  std::string next() {
    held_.clear();
    loop_.restart();
    loop_.poll();
    EXPECT_LE(held_.size(), 1U);
    return held_.empty() ? "" : held_.front().who;
  }
  boost::asio::io_context loop_{1};
  ModelTurns turns_{loop_};
  std::vector<Held> held_;
};

TEST_F(Turns, AreTakenOneAfterTheOther) {
  ask("a");
  ask("b");
  ASSERT_EQ(held_.size(), 1U);
  EXPECT_EQ(held_.front().who, "a");
  EXPECT_EQ(next(), "b");
  EXPECT_EQ(next(), "");
  ask("a");
  EXPECT_EQ(held_.size(), 1U);
}

TEST_F(Turns, AreOfEachModel) {
  ask("a");
  ask("b", "other");
  EXPECT_EQ(held_.size(), 2U);
}

TEST_F(Turns, GoRoundHoweverManyOneWaitsFor) {
  for (int i = 0; i < 4; ++i) ask("hostile");
  ask("b");
  ask("c");
  EXPECT_EQ(next(), "b");
  ask("b");
  EXPECT_EQ(next(), "c");
  EXPECT_EQ(next(), "hostile");
  EXPECT_EQ(next(), "b");
  EXPECT_EQ(next(), "hostile");
}

TEST_F(Turns, PassWhoHasGone) {
  ask("a");
  io::Canceller canceller;
  io::spawn(loop_, take(&turns_, "tiny", "gone", &held_), canceller);
  ask("b");
  canceller.cancel();
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(next(), "b");
}

}  // namespace
}  // namespace lmsb::control
