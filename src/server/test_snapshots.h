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
  std::string imported;
  std::optional<Bytes> disk_bytes;

  io::Task<control::SnapshotInfo> take(control::Principal, std::string sandbox, std::string asked_name,
                                       control::SnapshotPromise) override {
    named = std::move(sandbox);
    name = std::move(asked_name);
    if (error) co_return *error;
    co_return snapshot;
  }
  Result<control::SnapshotPage> list(const control::Principal&, const std::string& sandbox, std::size_t limit,
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
  io::Task<std::vector<control::SandboxInfo>> fork(control::Principal, std::string sandbox, std::size_t asked,
                                                   control::ForksPromise) override {
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
  io::Task<std::unique_ptr<control::FileStream>> export_file(control::Principal, std::string id) override {
    class Stream final : public control::FileStream {
     public:
      explicit Stream(std::string content) : content_(std::move(content)) {}
      io::Task<std::string> read() override { co_return std::exchange(content_, {}); }

     private:
      std::string content_;
    };
    if (error) co_return *error;
    std::unique_ptr<control::FileStream> stream = std::make_unique<Stream>("file of " + id);
    co_return std::move(stream);
  }
  io::Task<control::SnapshotInfo> import_file(control::Principal, control::ImportSnapshot request,
                                              std::shared_ptr<http::BodyReader> body) override {
    if (error) co_return *error;
    name = std::move(request.name);
    disk_bytes = request.disk_bytes;
    for (;;) {
      LMSB_CO_TRY(const std::string piece, co_await body->read());
      if (piece.empty()) break;
      imported += piece;
    }
    co_return snapshot;
  }
};

}  // namespace lmsb::server
