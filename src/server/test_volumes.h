#pragma once
// A VolumeService for tests of the edge: it remembers what it was asked.
#include <string>

#include "control/volume_service.h"

namespace lmsb::server {

class FakeVolumes final : public control::VolumeService {
 public:
  FakeVolumes() {
    volume.id = "vol_aaaaaaaaaaaaaaaaaaaa";
    volume.name = "data";
    volume.created_at = "2026-01-01T00:00:00Z";
    volume.size = Bytes::GiB(1);
  }
  std::optional<Error> error;
  control::VolumeInfo volume;
  control::CreateVolume created;
  control::UpdateVolume changes;
  std::string named;

  io::Task<control::VolumeInfo> create(control::Principal, control::CreateVolume request) override {
    created = std::move(request);
    if (error) co_return *error;
    co_return volume;
  }
  Result<control::VolumePage> list(const control::Principal&, const std::map<std::string, std::string>& labels,
                                   std::size_t limit, const std::string&) const override {
    control::VolumePage page;
    if (labels.empty()) page.data.push_back(volume);
    if (limit == 1) page.next_cursor = "more";
    return page;
  }
  Result<control::VolumeInfo> get(const control::Principal&, const std::string&) const override {
    if (error) return *error;
    return volume;
  }
  io::Task<std::uint64_t> held_bytes(control::Principal, std::string id_or_name) override {
    named = std::move(id_or_name);
    co_return std::uint64_t{4096};
  }
  io::Task<control::VolumeInfo> update(control::Principal, std::string id_or_name,
                                       control::UpdateVolume asked) override {
    named = std::move(id_or_name);
    changes = std::move(asked);
    if (error) co_return *error;
    co_return volume;
  }
  io::Task<void> remove(control::Principal, std::string id_or_name) override {
    named = std::move(id_or_name);
    if (error) co_return *error;
    co_return Status();
  }
};

}  // namespace lmsb::server
