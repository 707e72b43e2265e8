#pragma once
// A SnapshotService for tests of the edge: it remembers what it was asked.
#include <string>
#include <vector>

#include "control/snapshot_service.h"

namespace lmsb::server {

class FakeSnapshots final : public control::SnapshotService {
 public:
  std::optional<Error> error;
  control::SnapshotInfo snapshot{
      "snp_aaaaaaaaaaaaaaaaaaaa",     "", "s0000000000000000000", "base", "sha256:00", "2026-01-01T00:00:00Z",
      std::chrono::microseconds(1500)};
  std::string named;
  std::string name;
  std::size_t count = 0;

  io::Task<control::SnapshotInfo> take(control::Principal, std::string sandbox, std::string asked_name) override {
    named = std::move(sandbox);
    name = std::move(asked_name);
    if (error) co_return *error;
    co_return snapshot;
  }
  control::SnapshotPage list(const control::Principal&, const std::string& sandbox, std::size_t limit,
                             const std::string&) const override {
    control::SnapshotPage page;
    if (sandbox.empty() || sandbox == snapshot.sandbox_id) page.data.push_back(snapshot);
    if (limit == 1) page.next_cursor = "more";
    return page;
  }
  Result<control::SnapshotInfo> get(const control::Principal&, const std::string&) const override {
    if (error) return *error;
    return snapshot;
  }
  io::Task<void> remove(control::Principal, std::string id) override {
    named = std::move(id);
    if (error) co_return *error;
    co_return Status();
  }
  io::Task<std::vector<control::SandboxInfo>> fork(control::Principal, std::string sandbox,
                                                   std::size_t asked) override {
    named = std::move(sandbox);
    count = asked;
    if (error) co_return *error;
    co_return std::vector<control::SandboxInfo>(asked);
  }
  io::Task<control::SandboxInfo> roll_back(control::Principal, std::string sandbox, std::string asked) override {
    named = std::move(sandbox);
    name = std::move(asked);
    if (error) co_return *error;
    co_return control::SandboxInfo();
  }
};

}  // namespace lmsb::server
