#include "control/lifecycle.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "control/ledger.h"
#include "control/policy.h"
#include "control/test_handle.h"
#include "io/run_blocking.h"

namespace lmsb::control {
namespace {

using network::Mode;

constexpr const char* kId = "aaaaaaaaaaaaaaaaaaaa";
constexpr const char* kRow = "allowlist given:443 credential:api given=api";

// A stopped sandbox.
class LifecycleTest : public testing::Test {
 protected:
  LifecycleTest() : events_(loop_, AuditLog("", {}, log_)), ledger_(loop_, "", log_), lifecycle_(loop_, parts(), log_) {
    store::SandboxRow row;
    row.id = kId;
    row.owner = "ann";
    row.created_at = rfc3339_now();
    const sandbox::Limits limits;
    row.memory_bytes = limits.memory.count();
    row.disk_bytes = limits.disk.count();
    row.shm_bytes = limits.shm.count();
    row.cpu_millis = limits.cpu_millis;
    row.processes = limits.processes;
    row.egress = kRow;
    EXPECT_TRUE(registry_.add(sandbox_of(loop_, std::move(row))).ok());
  }
  Lifecycle::Parts parts() {
    return {registry_,
            events_,
            {},
            [](const KeptSandbox&, const sandbox::Limits&) { return std::shared_ptr<const void>(); },
            {},
            {},
            [this](const network::Egress& egress) { return check_egress(caps_, egress, {}); },
            [this](std::shared_ptr<SandboxHandle>, network::Egress egress) { return give(this, std::move(egress)); },
            {},
            {},
            {},
            [this](const KeptSandbox& sandbox) {
              saved_.push_back(sandbox.info.egress);
              state_saved_ = row_of(sandbox).state;
            },
            [this](const KeptSandbox& sandbox) { return write(sandbox); }};
  }
  static io::Task<void> give(LifecycleTest* test, network::Egress egress) {
    test->given_.push_back(std::move(egress));
    co_return Status();
  }
  io::Task<void> write(const KeptSandbox& sandbox) {
    saved_.push_back(sandbox.info.egress);
    state_saved_ = row_of(sandbox).state;
    if (is_kept_) return fine(this);
    return ledger_.put(row_of(sandbox));
  }
  static io::Task<void> fine(LifecycleTest* test) {
    while (test->is_slow_) LMSB_CO_CHECK(co_await test->faster_.wait());
    co_return Status();
  }
  io::Task<SandboxInfo> updating(const Principal& who, network::Egress egress) {
    UpdateSandbox changes;
    changes.egress = std::move(egress);
    return lifecycle_.update(who, kId, std::move(changes));
  }
  Result<SandboxInfo> update(network::Egress egress) { return io::run_on(loop_, updating(kAnn, std::move(egress))); }
  static io::Always<void> note(io::Task<SandboxInfo> updating, std::optional<Result<SandboxInfo>>* out) {
    auto updated = co_await std::move(updating);
    out->emplace(std::move(updated));
  }
  const network::Egress& egress() { return registry_.all().at(kId).info.egress; }

  const Principal kAnn{"ann", false};
  boost::asio::io_context loop_{1};
  Logger log_{LogLevel::error, LogFormat::text};
  Registry registry_;
  EventLog events_;
  Ledger ledger_;  // not open: nothing can be written
  bool is_kept_ = false;
  bool is_slow_ = false;
  io::Event faster_{loop_};
  std::vector<network::Egress> saved_;
  std::string state_saved_;             // what its row says
  std::vector<network::Egress> given_;  // what it has, one after the other
  PolicyCaps caps_;
  UniqueFd guest_;
  Lifecycle lifecycle_;
};

TEST_F(LifecycleTest, DoesNotSayThatAPolicyIsInForceWhichIsNotWritten) {
  const auto updated = update({Mode::none, {}});
  ASSERT_FALSE(updated.ok());
  EXPECT_EQ(updated.error().slug(), "disk_not_kept");
  const network::Egress before{Mode::allowlist, {"given:443", "credential:api"}, {"api"}};
  EXPECT_EQ(egress(), before);
  ASSERT_FALSE(saved_.empty());
  EXPECT_EQ(saved_.back(), before);
}

TEST_F(LifecycleTest, RemembersInTheRowWhatAnAdministratorGave) {
  EXPECT_EQ(row_of(registry_.all().at(kId)).egress, kRow);
  is_kept_ = true;
  ASSERT_TRUE(update({Mode::allowlist, {"other.test", "credential:api"}}).ok()) << "it is left in";
  ASSERT_TRUE(update({Mode::allowlist, {"other.test"}}).ok());
  EXPECT_EQ(row_of(registry_.all().at(kId)).egress, "allowlist other.test");
  EXPECT_EQ(update({Mode::allowlist, {"credential:api"}}).error().slug(), "credential_denied");
}

TEST_F(LifecycleTest, LetsNobodyKeepACredentialThatIsBeingTakenAway) {
  is_kept_ = is_slow_ = true;
  const network::Egress without{Mode::allowlist, {"good.test"}};
  const network::Egress with{Mode::allowlist, {"good.test", "credential:api"}};
  std::optional<Result<SandboxInfo>> first;
  std::optional<Result<SandboxInfo>> taken;
  std::optional<Result<SandboxInfo>> kept;
  io::spawn(loop_, note(updating(kAnn, with), &first));
  io::spawn(loop_, note(updating({"root", true}, without), &taken));
  io::spawn(loop_, note(updating(kAnn, with), &kept));
  loop_.poll();  // the first one writes, the others wait for it
  ASSERT_FALSE(first || taken || kept);
  is_slow_ = false;
  faster_.notify_all();
  loop_.restart();
  loop_.run();
  ASSERT_TRUE(first && taken && kept);
  EXPECT_TRUE(first->ok() && taken->ok());
  ASSERT_FALSE(kept->ok());
  EXPECT_EQ(kept->error().slug(), "credential_denied");
  EXPECT_EQ(egress(), without);
}

TEST_F(LifecycleTest, ChangesAPolicyOnceItIsWritten) {
  is_kept_ = true;
  const auto updated = update({Mode::none, {}});
  ASSERT_TRUE(updated.ok()) << updated.error().message();
  EXPECT_EQ(updated->egress.mode, Mode::none);
  EXPECT_EQ(egress().mode, Mode::none);
}

TEST_F(LifecycleTest, GivesNoFirstNetworkThatTheOperatorWithdrewWhileItWasWrittenDown) {
  KeptSandbox& sandbox = registry_.all().at(kId);
  sandbox.info.egress = {};
  sandbox.handle = silent_handle(loop_, guest_);
  sandbox.move_to(SandboxState::running);
  caps_.credentials = {"api"};
  is_kept_ = is_slow_ = true;
  std::optional<Result<SandboxInfo>> updated;
  io::spawn(loop_, note(updating(kAnn, {Mode::allowlist, {"credential:api"}}), &updated));
  loop_.poll();
  ASSERT_EQ(given_.size(), 1U);
  caps_.credentials = {};
  is_slow_ = false;
  faster_.notify_all();
  loop_.poll();
  ASSERT_TRUE(updated.has_value());
  ASSERT_EQ(given_.size(), 2U);
  EXPECT_EQ(given_.back(), network::Egress());
}

// A paused sandbox whose guest is there.
class PausedTest : public LifecycleTest {
 protected:
  PausedTest() {
    sandbox_.handle = silent_handle(loop_, guest_);
    sandbox_.move_to(SandboxState::running);
    sandbox_.move_to(SandboxState::paused);
    sandbox_.life->suspend();
    state_saved_ = "paused";
  }
  // Begins to let it go on; its row is being written down then.
  void resume() {
    is_slow_ = true;
    io::spawn(loop_, note(lifecycle_.resume(kAnn, kId), &resumed_));
    loop_.poll();
    ASSERT_FALSE(resumed_);
  }
  void write_on() {
    is_slow_ = false;
    faster_.notify_all();
    loop_.restart();
    loop_.poll();
    ASSERT_TRUE(resumed_);
  }

  KeptSandbox& sandbox_ = registry_.all().at(kId);
  std::optional<Result<SandboxInfo>> resumed_;
};

TEST_F(PausedTest, IsNoStateOfOneThatIsBeingStopped) {
  sandbox_.move_to(SandboxState::running);
  sandbox_.is_stopping = true;
  std::optional<Result<SandboxInfo>> paused;
  io::spawn(loop_, note(lifecycle_.pause(kAnn, kId), &paused));
  loop_.poll();
  ASSERT_TRUE(paused && !paused->ok());
  EXPECT_EQ(paused->error().slug(), "sandbox_stopping");
  sandbox_.is_stopping = false;
}

TEST_F(PausedTest, SaysThatItRunsOnceThatIsWritten) {
  is_kept_ = true;
  resume();
  EXPECT_EQ(state_saved_, "running");
  EXPECT_EQ(sandbox_.state(), SandboxState::paused);
  EXPECT_EQ(sandbox_.visit().error().slug(), "sandbox_paused");
  write_on();
  ASSERT_TRUE(resumed_->ok()) << resumed_->error().message();
  EXPECT_EQ((*resumed_)->state, SandboxState::running);
  EXPECT_EQ(row_of(sandbox_).state, "running");
}

TEST_F(PausedTest, StaysSoAndNeverSaidOtherwiseWhereItCannotBeWritten) {
  io::spawn(loop_, note(lifecycle_.resume(kAnn, kId), &resumed_));
  loop_.poll();
  ASSERT_TRUE(resumed_ && !resumed_->ok());
  EXPECT_EQ(resumed_->error().slug(), "disk_not_kept");
  EXPECT_EQ(sandbox_.state(), SandboxState::paused);
  EXPECT_EQ(state_saved_, "paused");
}

TEST_F(PausedTest, IsWrittenDownAsItIsWhereItsGuestEndsMeanwhile) {
  is_kept_ = true;
  resume();
  guest_.reset();
  loop_.restart();
  while (!sandbox_.handle->channel().is_closed()) ASSERT_GT(loop_.run_one(), 0U);
  write_on();
  ASSERT_FALSE(resumed_->ok());
  EXPECT_EQ(resumed_->error().slug(), "sandbox_not_running");
  EXPECT_EQ(state_saved_, "paused");
}

}  // namespace
}  // namespace lmsb::control
