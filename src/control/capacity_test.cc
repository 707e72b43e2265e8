#include "control/capacity.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "io/run_blocking.h"

namespace lmsb::control {
namespace {

using std::chrono::milliseconds;
using Share = Capacity::Share;

Error refuse(Capacity::Refusal why) {
  switch (why) {
    case Capacity::Refusal::queue_full: return {ErrorCode::resource_exhausted, "full"};
    case Capacity::Refusal::waited_too_long: return {ErrorCode::resource_exhausted, "late"};
    case Capacity::Refusal::no_room_now: break;
  }
  return {ErrorCode::resource_exhausted, "taken"};
}

Amount memory(std::uint64_t bytes) { return {0, bytes, 0}; }

// Ten bytes of memory, for which requests of callers wait; each has a name, whose first letter is its caller's.
class CapacityTest : public testing::Test {
 protected:
  static Capacity::Options options(std::size_t queue = 100, milliseconds wait = milliseconds(60'000)) {
    Capacity::Options options;
    options.total = memory(10);
    options.queue = queue;
    options.wait = wait;
    options.refuse = refuse;
    return options;
  }
  void make(std::size_t queue, milliseconds wait = milliseconds(60'000)) {
    capacity_ = std::make_unique<Capacity>(loop_, options(queue, wait));
  }

  static io::Always<void> wait(CapacityTest* test, std::string name, Amount amount, Stay stay) {
    auto share = co_await test->capacity_->take(name.substr(0, 1), amount, stay);
    test->told_ += " " + name + (share.ok() ? "" : "=" + share.error().message());
    if (share.ok()) test->shares_.push_back(*std::move(share));
  }
  void ask(const std::string& name, std::uint64_t bytes, Stay stay = Stay::passing, io::Canceller canceller = {}) {
    io::spawn(loop_, wait(this, name, memory(bytes), stay), std::move(canceller));
    go_on();
  }
  Share take(std::uint64_t bytes, Stay stay = Stay::passing) {
    auto share = capacity_->try_take(memory(bytes), stay);
    EXPECT_TRUE(share);
    return share ? *std::move(share) : Share();
  }
  void drop(Share share) {
    share = Share();
    go_on();
  }
  void go_on() {
    loop_.restart();
    loop_.poll();
  }
  // What those who waited were told since this was asked last, in order.
  std::string told() {
    go_on();
    return std::exchange(told_, "");
  }
  // Those who have shares give them back one after the other, until nobody waits.
  void serve_all() {
    while (!shares_.empty()) {
      shares_.erase(shares_.begin());
      go_on();
    }
  }

  boost::asio::io_context loop_{1};
  std::unique_ptr<Capacity> capacity_ = std::make_unique<Capacity>(loop_, options());
  std::vector<Share> shares_;
  std::string told_;
};

TEST_F(CapacityTest, GivesWhatThereIsAtOnce) {
  Share most = take(9);
  EXPECT_FALSE(capacity_->try_take(memory(2), Stay::passing));
  const Share rest = take(1);
  EXPECT_EQ(capacity_->held(), memory(10));
  EXPECT_EQ(rest.waited_ms(), 0);
  drop(std::move(most));
  EXPECT_EQ(capacity_->held(), memory(1));
}

TEST_F(CapacityTest, CountsEachKindByItself) {
  Capacity::Options both = options();
  both.total = {2, 10, 0};
  Capacity capacity(loop_, both);
  const auto one = capacity.try_take({2, 1, 0}, Stay::passing);
  EXPECT_TRUE(one);
  EXPECT_FALSE(capacity.try_take({1, 0, 0}, Stay::passing));
  EXPECT_TRUE(capacity.try_take({0, 9, 0}, Stay::passing));
}

TEST_F(CapacityTest, TakesMoreThanThereWillEverBeForAllOfIt) {
  const Share all = take(1000);
  EXPECT_EQ(all.amount(), memory(10));
}

TEST_F(CapacityTest, ServesOneCallerInOrder) {
  Share all = take(10);
  for (const char* name : {"a1", "a2", "a3"}) ask(name, 10);
  EXPECT_EQ(capacity_->waiting(), 3U);
  EXPECT_EQ(told(), "");
  drop(std::move(all));
  serve_all();
  EXPECT_EQ(told(), " a1 a2 a3");
  EXPECT_EQ(capacity_->held(), memory(0));
}

TEST_F(CapacityTest, LetsCallersTakeTurns) {
  Share all = take(10);
  for (const char* name : {"a1", "a2", "a3", "a4", "b1", "b2", "c1"}) ask(name, 10);
  drop(std::move(all));
  serve_all();
  EXPECT_EQ(told(), " a1 b1 c1 a2 b2 a3 a4");
}

TEST_F(CapacityTest, MakesALateCallerNextButOneHoweverManyWait) {
  Share all = take(10);
  for (int i = 0; i < 50; ++i) ask("a", 10);
  ask("b", 10);
  drop(std::move(all));
  EXPECT_EQ(told(), " a");
  shares_.clear();
  EXPECT_EQ(told(), " b");
}

TEST_F(CapacityTest, LetsNobodyOvertakeWhoWaitsForMore) {
  Share first = take(6);
  Share second = take(4);
  ask("a", 9);
  ask("b", 1);
  drop(std::move(second));
  EXPECT_EQ(told(), "");  // there is enough for b
  EXPECT_FALSE(capacity_->try_take(memory(1), Stay::passing));
  drop(std::move(first));
  EXPECT_EQ(told(), " a b");
}

TEST_F(CapacityTest, LetsNobodyWaitBehindWhatOnlyADeletionHelps) {
  Share created = take(5, Stay::lasting);
  Share passing = take(5);
  ask("a1", 8);
  ask("a2", 1);  // the same caller's: it waits for a1
  ask("b", 2);
  drop(std::move(passing));
  EXPECT_EQ(told(), " b");
  ask("c", 3);
  EXPECT_EQ(told(), " c");
  // Now the end of b and c is enough for a1: nobody overtakes it any more.
  drop(std::move(created));
  ask("d", 1);
  EXPECT_EQ(told(), "");
  shares_.clear();
  EXPECT_EQ(told(), " a1 d a2");
}

TEST_F(CapacityTest, RefusesAtOnceWhatTheQueueHasNoPlaceFor) {
  make(2);
  const Share all = take(10);
  for (const char* name : {"a1", "a2", "a3"}) ask(name, 1);
  EXPECT_EQ(told(), " a3=full");
  EXPECT_EQ(capacity_->waiting(), 2U);
}

TEST_F(CapacityTest, SharesAFullQueueAmongTheCallers) {
  make(4);
  Share all = take(10);
  for (const char* name : {"a1", "a2", "a3", "a4"}) ask(name, 10);
  ask("b1", 10);
  EXPECT_EQ(told(), " a4=full");
  ask("b2", 10);
  EXPECT_EQ(told(), " a3=full");
  ask("b3", 10);  // as many as the other has
  EXPECT_EQ(told(), " b3=full");
  ask("c1", 10);
  EXPECT_EQ(told(), " a2=full");
  drop(std::move(all));
  serve_all();
  EXPECT_EQ(told(), " a1 b1 c1 b2");
}

TEST_F(CapacityTest, EndsAWaitThatIsTooLong) {
  make(100, milliseconds(5));
  const Share all = take(10);
  io::spawn(loop_, wait(this, "a", memory(1), Stay::passing));
  loop_.restart();
  loop_.run();
  EXPECT_EQ(told(), " a=late");
  EXPECT_EQ(capacity_->waiting(), 0U);
}

TEST_F(CapacityTest, GoesOnWhenWhoIsNextGoesAway) {
  const Share most = take(9);
  io::Canceller canceller;
  ask("a", 5, Stay::passing, canceller);
  ask("b", 1);
  EXPECT_EQ(told(), "");
  canceller.cancel();
  const std::string order = told();
  EXPECT_EQ(order.substr(0, 3), " a=");
  EXPECT_EQ(order.substr(order.size() - 2), " b");
  EXPECT_EQ(capacity_->waiting(), 0U);
  EXPECT_EQ(capacity_->held(), memory(10));
}

TEST_F(CapacityTest, SaysHowLongAShareWasWaitedFor) {
  Share all = take(10);
  ask("a", 10);
  std::this_thread::sleep_for(milliseconds(2));
  drop(std::move(all));
  ASSERT_EQ(shares_.size(), 1U);
  EXPECT_GE(shares_[0].waited_ms(), 2);
}

TEST_F(CapacityTest, ChangesAShareAsFarAsThereIsRoom) {
  Share share = take(4, Stay::lasting);
  const Share other = take(4);
  EXPECT_TRUE(share.resize(memory(6)).ok());
  const Status more = share.resize(memory(7));
  EXPECT_EQ(more.error().message(), "taken");
  EXPECT_EQ(capacity_->held(), memory(10));
  ask("a", 5);
  EXPECT_TRUE(share.resize(memory(1)).ok());
  EXPECT_EQ(told(), " a");
  EXPECT_EQ(capacity_->held(), memory(10));
  EXPECT_TRUE(Share().resize(memory(7)).ok());
}

TEST_F(CapacityTest, GivesNothingAsLongAsMoreIsHeldThanThereIs) {
  const Share first = take(8, Stay::lasting);
  Share second = capacity_->hold(memory(8), Stay::lasting);
  EXPECT_EQ(capacity_->held(), memory(16));
  EXPECT_FALSE(capacity_->try_take(memory(1), Stay::passing));
  EXPECT_FALSE(second.resize(memory(9)).ok());
  EXPECT_TRUE(second.resize(memory(7)).ok());
  ask("a", 1);
  EXPECT_EQ(told(), "");
  drop(std::move(second));
  EXPECT_EQ(told(), " a");
}

TEST_F(CapacityTest, MayGoBeforeItsSharesAndThoseWhoWait) {
  const Share all = take(10);
  ask("a", 10);
  capacity_.reset();
  EXPECT_EQ(told(), "");
}

}  // namespace
}  // namespace lmsb::control
