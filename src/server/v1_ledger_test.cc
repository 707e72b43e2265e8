#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

TEST(LedgerRoutes, SayWhetherAllAgree) {
  Fixture fixture;
  fixture.control.ledger_report.sandboxes = 3;
  fixture.control.ledger_report.disks = 2;
  EXPECT_EQ(fixture.send("GET", "/v1/ledger", "").body,
            R"({"agrees":true,"sandboxes":3,"disks":2,"snapshots":0,"volumes":0,"findings":[]})");
  fixture.control.ledger_report.findings = {{"cgroup", "aaaaaaaaaaaaaaaaaaaa", "no sandbox has it"}};
  EXPECT_EQ(fixture.send("GET", "/v1/ledger", "").body,
            R"({"agrees":false,"sandboxes":3,"disks":2,"snapshots":0,"volumes":0,"findings":[)"
            R"({"kind":"cgroup","id":"aaaaaaaaaaaaaaaaaaaa","what":"no sandbox has it"}]})");
}

TEST(LedgerRoutes, PassOnWhyNobodyCanTell) {
  Fixture fixture;
  fixture.control.error = Error(ErrorCode::permission_denied, "no").with_slug("permission_denied");
  EXPECT_EQ(fixture.send("GET", "/v1/ledger", "").status, 403);
}

}  // namespace
}  // namespace lmsb::server
