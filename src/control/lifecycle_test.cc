#include "control/lifecycle.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "control/ledger.h"
#include "io/run_blocking.h"

namespace lmsb::control {
namespace {

using network::Mode;

constexpr const char* kId = "aaaaaaaaaaaaaaaaaaaa";

// A stopped sandbox.
class LifecycleTest : public testing::Test {
 protected:
  LifecycleTest() : events_(loop_, "", log_), ledger_(loop_, "", log_), lifecycle_(loop_, parts(), log_) {
    store::SandboxRow row;
    row.id = kId;
    row.owner = "ann";
    row.created_at = rfc3339_now();
    const sandbox::Limits limits;
    row.memory_bytes = limits.memory.count();
    row.disk_bytes = limits.disk.count();
    row.cpu_millis = limits.cpu_millis;
    row.processes = limits.processes;
    row.egress = "allowlist good.test";
    EXPECT_TRUE(registry_.add(sandbox_of(loop_, std::move(row))).ok());
  }
  Lifecycle::Parts parts() {
    return {registry_,
            events_,
            {},
            [](const KeptSandbox&, const sandbox::Limits&) { return std::shared_ptr<const void>(); },
            {},
            {},
            [](const network::Egress&) { return Status(); },
            {},
            {},
            {},
            {},
            [this](const KeptSandbox& sandbox) { saved_.push_back(sandbox.info.egress); },
            [this](const KeptSandbox& sandbox) { return write(sandbox); }};
  }
  io::Task<void> write(const KeptSandbox& sandbox) {
    if (is_kept_) return fine();
    return ledger_.put(row_of(sandbox));
  }
  static io::Task<void> fine() { co_return Status(); }
  Result<SandboxInfo> update(network::Egress egress) {
    UpdateSandbox changes;
    changes.egress = std::move(egress);
    const Principal ann{"ann", false};
    return io::run_on(loop_, lifecycle_.update(ann, kId, std::move(changes)));
  }
  const network::Egress& egress() { return registry_.all().at(kId).info.egress; }

  boost::asio::io_context loop_{1};
  Logger log_{LogLevel::error, LogFormat::text};
  Registry registry_;
  EventLog events_;
  Ledger ledger_;  // not open: nothing can be written
  bool is_kept_ = false;
  std::vector<network::Egress> saved_;
  Lifecycle lifecycle_;
};

TEST_F(LifecycleTest, DoesNotSayThatAPolicyIsInForceWhichIsNotWritten) {
  const auto updated = update({Mode::none, {}});
  ASSERT_FALSE(updated.ok());
  EXPECT_EQ(updated.error().slug(), "disk_not_kept");
  const network::Egress before{Mode::allowlist, {"good.test"}};
  EXPECT_EQ(egress(), before);
  ASSERT_FALSE(saved_.empty());
  EXPECT_EQ(saved_.back(), before);
}

TEST_F(LifecycleTest, ChangesAPolicyOnceItIsWritten) {
  is_kept_ = true;
  const auto updated = update({Mode::none, {}});
  ASSERT_TRUE(updated.ok()) << updated.error().message();
  EXPECT_EQ(updated->egress.mode, Mode::none);
  EXPECT_EQ(egress().mode, Mode::none);
}

}  // namespace
}  // namespace lmsb::control
