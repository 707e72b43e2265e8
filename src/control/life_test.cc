#include "control/life.h"

#include <gtest/gtest.h>

namespace lmsb::control {
namespace {

using std::chrono::milliseconds;
using Clock = Life::Clock;

const Clock::time_point kBirth{};

LifeLimits limits_of(int timeout, int idle) {
  LifeLimits limits;
  limits.timeout = milliseconds(timeout);
  limits.idle = milliseconds(idle);
  return limits;
}

TEST(Life, WithoutLimitsNothingIsEverDue) {
  const Life life(limits_of(0, 0), kBirth);
  EXPECT_FALSE(life.next(kBirth));
  EXPECT_FALSE(life.due(kBirth + std::chrono::hours(10'000)));
  EXPECT_FALSE(life.end());
}

TEST(Life, EndsAtItsTimeoutEvenInUse) {
  const auto life = std::make_shared<Life>(limits_of(100, 0), kBirth);
  const Life::Use use(life);
  EXPECT_FALSE(life->due(kBirth + milliseconds(99)));
  const auto due = life->due(kBirth + milliseconds(100));
  ASSERT_TRUE(due);
  EXPECT_TRUE(due->by_timeout);
  EXPECT_EQ(due->what, AtLimit::remove);
}

TEST(Life, IsNotIdleWhileItIsUsed) {
  const auto life = std::make_shared<Life>(limits_of(0, 100), Clock::now());
  const auto later = Clock::now() + milliseconds(200);
  {
    const Life::Use use(life);
    EXPECT_FALSE(life->due(later));
    EXPECT_EQ(life->next(later), later + milliseconds(100));  // were it unused from then on
  }
  EXPECT_FALSE(life->due(Clock::now()));  // its last use has only just ended
  EXPECT_TRUE(life->due(later));
}

TEST(Life, IsPausedWhenItHasBeenIdle) {
  const Life life(limits_of(0, 100), kBirth);
  const auto due = life.due(kBirth + milliseconds(100));
  ASSERT_TRUE(due);
  EXPECT_FALSE(due->by_timeout);
  EXPECT_EQ(due->what, AtLimit::pause);
}

TEST(Life, OfAPausedSandboxOnlyTheTimeoutThatDeletesGoesOn) {
  Life deleted(limits_of(100, 10), kBirth);
  deleted.suspend();
  EXPECT_FALSE(deleted.due(kBirth + milliseconds(50)));
  EXPECT_TRUE(deleted.due(kBirth + milliseconds(100)));
  LifeLimits pausing = limits_of(100, 10);
  pausing.at_timeout = AtLimit::pause;
  Life paused(pausing, kBirth);
  paused.suspend();
  EXPECT_FALSE(paused.next(kBirth));
  EXPECT_FALSE(paused.due(kBirth + milliseconds(1000)));
}

TEST(Life, WhatPausedItBeginsAnewWhenItIsResumed) {
  LifeLimits pausing = limits_of(100, 10);
  pausing.at_timeout = AtLimit::pause;
  Life life(pausing, kBirth);
  life.suspend();
  life.resume(kBirth + milliseconds(90));
  EXPECT_EQ(life.end(), kBirth + milliseconds(190));
  EXPECT_FALSE(life.due(kBirth + milliseconds(99)));
  EXPECT_TRUE(life.due(kBirth + milliseconds(100)));  // idle
}

TEST(Life, ATimeoutThatDeletesIsNotPutOffByAPause) {
  Life life(limits_of(100, 0), kBirth);
  life.suspend();
  life.resume(kBirth + milliseconds(90));
  EXPECT_EQ(life.end(), kBirth + milliseconds(100));
}

TEST(Life, OneThatCannotBePausedIsLeftForAMinuteAndDeletedInTime) {
  Life life(limits_of(100'000, 10), kBirth);
  life.put_off(AtLimit::pause, kBirth + milliseconds(10));
  EXPECT_FALSE(life.due(kBirth + milliseconds(60'009)));
  EXPECT_EQ(life.next(kBirth), kBirth + milliseconds(60'010));
  EXPECT_EQ(life.due(kBirth + milliseconds(60'010))->what, AtLimit::pause);
  EXPECT_EQ(life.due(kBirth + milliseconds(100'000))->what, AtLimit::remove);
}

TEST(Life, LimitsOfAPausedOneMayBeChanged) {
  Life life(limits_of(100, 10), kBirth);
  life.suspend();
  LifeLimits pausing = limits_of(200, 10);
  pausing.at_timeout = AtLimit::pause;
  life.set(pausing, true, kBirth + milliseconds(50));
  EXPECT_FALSE(life.end());
  life.set(limits_of(200, 10), false, kBirth + milliseconds(60));
  EXPECT_EQ(life.end(), kBirth + milliseconds(250));
  EXPECT_FALSE(life.due(kBirth + milliseconds(249)));
}

TEST(Life, KeepsItsEndWhenOnlyOtherLimitsChange) {
  Life life(limits_of(100, 0), kBirth);
  life.set(limits_of(100, 500), false, kBirth + milliseconds(50));
  EXPECT_EQ(life.end(), kBirth + milliseconds(100));
  life.set(limits_of(0, 500), true, kBirth + milliseconds(50));
  EXPECT_FALSE(life.end());
}

TEST(Life, EndsWhenItIsSaidToEvenThoughItIsStopped) {
  Life life(limits_of(100, 10), kBirth);
  life.suspend();
  life.set_end(kBirth + milliseconds(30));
  EXPECT_FALSE(life.due(kBirth + milliseconds(29)));
  const auto due = life.due(kBirth + milliseconds(30));
  ASSERT_TRUE(due);
  EXPECT_EQ(due->what, AtLimit::remove);
}

TEST(Life, WhichStopsAtItsTimeoutBeginsAnewWithTheStart) {
  LifeLimits limits = limits_of(100, 0);
  limits.at_timeout = AtLimit::stop;
  Life life(limits, kBirth);
  ASSERT_TRUE(life.due(kBirth + milliseconds(100)));
  EXPECT_EQ(life.due(kBirth + milliseconds(100))->what, AtLimit::stop);
  life.suspend();
  EXPECT_FALSE(life.end());
  life.resume(kBirth + milliseconds(500));
  EXPECT_EQ(life.end(), kBirth + milliseconds(600));
}

TEST(Life, TakesOfChangesWhatIsSaid) {
  LifeChanges changes;
  changes.idle = milliseconds(7);
  changes.at_idle = AtLimit::remove;
  const LifeLimits limits = with(limits_of(100, 500), changes);
  EXPECT_EQ(limits.timeout, milliseconds(100));
  EXPECT_EQ(limits.idle, milliseconds(7));
  EXPECT_EQ(limits.at_idle, AtLimit::remove);
  EXPECT_EQ(limits.at_timeout, AtLimit::remove);
}

}  // namespace
}  // namespace lmsb::control
