#include <gtest/gtest.h>

#include "control/lifecycle.h"
#include "control/quotas.h"
#include "control/test_handle.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

constexpr const char* kOwner = "key:key_a";
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

// Who changes the limits of what lives, and takes as long as the test wants.
struct Launcher {
  explicit Launcher(boost::asio::io_context& loop) : changed(loop) {}
  bool is_done = true;
  Status result;
  io::Event changed;
};

// Changes of limits and of the state of an owner's sandbox, who may have 2 GiB of memory.
class LimitsTest : public testing::Test {
 protected:
  LimitsTest() { quota_.memory = Bytes::GiB(2); }

  KeptSandbox& add(Bytes memory) {
    KeptSandbox sandbox;
    sandbox.info.id = "s0000000000000000000";
    sandbox.owner = kOwner;
    sandbox.info.limits.memory = memory;
    sandbox.made_with = sandbox.info.limits;
    sandbox.handle = silent_handle(loop_, guest_);
    sandbox.move_to(SandboxState::running);
    lifecycle_.begin(sandbox, LifeLimits());
    auto added = registry_.add(std::move(sandbox));
    EXPECT_TRUE(added.ok());
    return **added;
  }
  using Change = std::optional<Result<SandboxInfo>>;
  void begin(Bytes memory, Change& change) {
    UpdateSandbox changes;
    changes.limits.memory = memory;
    const Principal who{"local:0", true};
    io::spawn(loop_, keep(lifecycle_.update(who, "s0000000000000000000", std::move(changes)), &change));
    poll();
  }
  static io::Always<void> keep(io::Task<SandboxInfo> task, Change* change) { *change = co_await std::move(task); }
  void poll() {
    loop_.restart();
    loop_.poll();
  }
  void let_launcher_end(Status result = {}) {
    launcher_.result = std::move(result);
    launcher_.is_done = true;
    launcher_.changed.notify_all();
    poll();
  }
  static io::Task<void> limit(Launcher* launcher) {
    while (!launcher->is_done) LMSB_CO_CHECK(co_await launcher->changed.wait());
    co_return launcher->result;
  }
  static io::Task<Capacity::Share> room(Launcher* launcher) {
    LMSB_CO_CHECK(co_await limit(launcher));
    co_return Capacity::Share();
  }
  static io::Task<std::unique_ptr<SandboxHandle>> no_launch() { co_return Error(ErrorCode::unavailable, "away"); }
  void start(Change& change) {
    io::spawn(loop_, keep(lifecycle_.start({"local:0", true}, "s0000000000000000000"), &change));
    poll();
  }
  bool may_have(Bytes memory) { return quotas_.check(kOwner, {0, memory.count(), 0, 0}).ok(); }

  Lifecycle::Parts parts() {
    return {registry_,
            events_,
            [](const std::string&, const std::string&) {},
            [this](const KeptSandbox& sandbox, const sandbox::Limits& limits) {
              return quotas_.take(sandbox.owner, growth(sandbox, limits));
            },
            [this](KeptSandbox& sandbox) { return quotas_.take_running(sandbox); },
            [this](std::shared_ptr<SandboxHandle>, sandbox::Limits, sandbox::Limits) { return limit(&launcher_); },
            {},
            {},
            [this](const KeptSandbox&) { return room(&launcher_); },
            [](const KeptSandbox&, Capacity::Share) { return no_launch(); },
            [this](std::uint64_t) { return limit(&launcher_); },
            [this](const KeptSandbox&) {
              if (on_save_) on_save_();
            },
            [this](const KeptSandbox&) {
              if (on_save_) on_save_();
              return written();
            }};
  }
  static io::Task<void> written() { co_return Status(); }

  boost::asio::io_context loop_;
  UniqueFd guest_;
  Logger log_{LogLevel::error, LogFormat::text};
  EventLog events_{loop_, AuditLog("", {}, log_)};
  Launcher launcher_{loop_};
  std::function<void()> on_save_;
  Registry registry_;
  Quota quota_;
  Quotas quotas_{
      {registry_, [this](const std::string&) { return &quota_; }, [](const std::string&) { return std::uint64_t{0}; }}};
  Lifecycle lifecycle_{loop_, parts(), log_};
};

TEST_F(LimitsTest, OfWhatRunsMayBeRaisedAsFarAsItsOwnersQuotaGoes) {
  const KeptSandbox& sandbox = add(Bytes::GiB(1));
  Change change;
  begin(Bytes::GiB(3), change);
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->error().slug(), "quota_exceeded");
  EXPECT_EQ(sandbox.info.limits.memory, Bytes::GiB(1));
  begin(Bytes::GiB(2), change);
  EXPECT_TRUE(change->ok());
  EXPECT_EQ(sandbox.info.limits.memory, Bytes::GiB(2));
  EXPECT_FALSE(may_have(Bytes(1)));
}

// While it is being started it has no memory yet: what it will have more is known only then.
TEST_F(LimitsTest, OfWhatIsBeingStartedAreCountedOnceItHasStarted) {
  KeptSandbox& sandbox = add(Bytes::GiB(1));
  auto handle = std::exchange(sandbox.handle, nullptr);
  sandbox.move_to(SandboxState::stopped);
  auto starting = std::make_unique<Lifecycle::Hold>(lifecycle_, sandbox);
  Change change;
  begin(Bytes::GiB(4), change);
  EXPECT_FALSE(change.has_value());
  sandbox.handle = std::move(handle);
  sandbox.move_to(SandboxState::running);
  starting.reset();
  poll();
  ASSERT_TRUE(change.has_value());
  ASSERT_FALSE(change->ok());
  EXPECT_EQ(change->error().slug(), "quota_exceeded");
  EXPECT_EQ(sandbox.info.limits.memory, Bytes::GiB(1));
}

TEST_F(LimitsTest, ThatWaitedForAnotherChangeAreCountedFromWhatThatLeft) {
  KeptSandbox& sandbox = add(Bytes::GiB(2));
  launcher_.is_done = false;
  Change lowered;
  Change raised;
  begin(Bytes::GiB(1), lowered);
  begin(Bytes::GiB(2), raised);
  Quotas::Held another;  // of the owner's, which takes what the first change has given back
  on_save_ = [&] {
    if (!another) another = *quotas_.take(kOwner, {0, kGiB, 0, 0});
  };
  let_launcher_end();
  ASSERT_TRUE(lowered && raised);
  EXPECT_TRUE(lowered->ok());
  ASSERT_FALSE(raised->ok());
  EXPECT_EQ(raised->error().slug(), "quota_exceeded");
  EXPECT_EQ(sandbox.info.limits.memory, Bytes::GiB(1));
}

TEST_F(LimitsTest, CountWhileTheyAreBeingRaisedAndNoMoreWhenThatFails) {
  add(Bytes::GiB(1));
  launcher_.is_done = false;
  Change change;
  begin(Bytes::GiB(2), change);
  EXPECT_FALSE(may_have(Bytes(1)));
  let_launcher_end(Error(ErrorCode::failed_precondition, "it uses more").with_slug("limit_in_use"));
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->error().slug(), "limit_in_use");
  EXPECT_TRUE(may_have(Bytes::GiB(1)));
}

TEST_F(LimitsTest, OfWhatIsBeingStoppedCountUntilNothingOfItIsLeft) {
  KeptSandbox& sandbox = add(Bytes::GiB(1));
  sandbox.info.keeps_disk = true;
  launcher_.is_done = false;
  Change change;
  io::spawn(loop_, keep(lifecycle_.stop({"local:0", true}, sandbox.info.id, std::chrono::milliseconds(0)), &change));
  poll();
  EXPECT_EQ(sandbox.state(), SandboxState::stopped);
  EXPECT_FALSE(change.has_value());
  EXPECT_FALSE(may_have(Bytes(kGiB + 1)));
  EXPECT_TRUE(may_have(Bytes(kGiB)));
  let_launcher_end();
  ASSERT_TRUE(change && change->ok());
  EXPECT_TRUE(may_have(Bytes::GiB(2)));
}

TEST_F(LimitsTest, OfWhatIsStartedAreAskedForBeforeItWaitsForMemoryAndCountMeanwhile) {
  KeptSandbox& sandbox = add(Bytes::GiB(1));
  sandbox.handle.reset();
  sandbox.move_to(SandboxState::stopped);
  launcher_.is_done = false;
  auto another = *quotas_.take(kOwner, {0, kGiB + 1, 0, 0});
  Change change;
  start(change);
  ASSERT_TRUE(change.has_value()) << "it waits for nothing";
  EXPECT_EQ(change->error().slug(), "quota_exceeded");
  another.reset();
  change.reset();
  start(change);
  EXPECT_FALSE(change.has_value());
  EXPECT_FALSE(may_have(Bytes(kGiB + 1)));
  EXPECT_TRUE(may_have(Bytes(kGiB)));
  let_launcher_end();
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->error().code(), ErrorCode::unavailable);
  EXPECT_TRUE(may_have(Bytes::GiB(2)));
}

TEST_F(LimitsTest, CountUntilTheyHaveBeenLowered) {
  add(Bytes::GiB(2));
  launcher_.is_done = false;
  Change change;
  begin(Bytes::GiB(1), change);
  EXPECT_FALSE(may_have(Bytes(1)));
  let_launcher_end();
  EXPECT_TRUE(may_have(Bytes::GiB(1)));
}

}  // namespace
}  // namespace lmsb::control
