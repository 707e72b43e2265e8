#pragma once
// Volumes: the real VolumeService, over the launcher's store: each volume is a directory of it with a limit of its own,
// which the launcher mounts into sandboxes with their ids. Within one, root's and the user's files are those of every
// sandbox.
//
// One loop, one thread. What has begun goes on when who waits for it goes away. A name is its owner's, whoever else has
// one: administrators name those of others by their ids, or the beginning of one that nothing else begins with.
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "control/control.h"
#include "control/event_log.h"
#include "control/fleet.h"
#include "control/ledger.h"
#include "control/on_their_way.h"
#include "control/registry.h"
#include "control/volume_service.h"

namespace lmsb::control {

// Volumes that a sandbox has, or is to have: they are in use as long as this lives.
struct HeldVolumes {
  std::vector<MountedVolume> mounts;
  VolumeUses uses;
};

class Volumes final : public VolumeService {
 public:
  struct Parts {
    Fleet& fleet;
    Registry& registry;
    Ledger& ledger;
    EventLog& events;
    std::function<Bytes()> cap;  // the largest that the operator allows
    // Whether an owner may have so much more disk. Error: quota_exceeded.
    std::function<Status(const std::string& owner, Bytes more)> check_quota;
  };
  // All references outlive it and its tasks.
  Volumes(boost::asio::io_context& loop, Parts parts, Logger& log);

  // What an earlier daemon had, before its sandboxes are entered. A row without a disk stays, as the store may be back
  // the next time; a disk without a row stays, without an owner. Both are lost: they can be removed.
  io::Task<void> take_over(std::vector<store::VolumeRow> rows);

  // Of all of them, whoever's they are.
  std::set<std::string> ids() const;

  // What the volumes of that owner may hold.
  std::uint64_t bytes_of(const std::string& owner) const;

  // For a sandbox that is to be made. Errors: volume_not_found, volume_lost, limit_out_of_bounds (more than a plan
  // holds).
  Result<HeldVolumes> hold(const Principal& who, const std::vector<VolumeRequest>& requests) const;
  // The same for one that had them. Errors: volume_lost.
  Result<HeldVolumes> hold_again(const std::vector<MountedVolume>& mounts) const;
  // The same for one that an earlier daemon had: whatever is lost. Says their names.
  VolumeUses take_part(std::vector<MountedVolume>& mounts) const;

  io::Task<VolumeInfo> create(Principal who, CreateVolume request) override;
  Result<VolumePage> list(const Principal& who, const std::map<std::string, std::string>& labels, std::size_t limit,
                          const std::string& cursor) const override;
  Result<VolumeInfo> get(const Principal& who, const std::string& id_or_name) const override;
  io::Task<std::uint64_t> held_bytes(Principal who, std::string id_or_name) override;
  io::Task<VolumeInfo> update(Principal who, std::string id_or_name, UpdateVolume changes) override;
  io::Task<void> remove(Principal who, std::string id_or_name) override;

 private:
  struct Kept {
    VolumeInfo info;
    std::string owner;
    VolumeUse use = std::make_shared<int>();
    std::weak_ptr<Move> change;  // there while its size and labels are being changed: who wants to as well waits
    bool is_there = true;        // else it is being made, or removed
    bool is_used() const { return use.use_count() > 1; }
  };
  using Entry = std::map<std::string, Kept>::value_type;
  static bool may_see(const Principal& who, const Kept& kept);
  Result<const Entry*> find(const Principal& who, const std::string& id_or_name) const;
  // Sandboxes that `who` may see, by the ids of the volumes that they have.
  using Users = std::multimap<std::string, std::string>;
  Users users(const Principal& who) const;
  static VolumeInfo describe(const Kept& kept, const Users& users);
  Error in_use(const Principal& who, const Kept& kept) const;
  Status check_new(const Principal& who, const CreateVolume& request) const;
  Status check_size(Bytes size) const;
  void enter(store::VolumeRow row, bool is_lost);
  // The event, for who follows and for the audit log.
  void tell(std::string_view what, const Kept& kept, const std::string& by) const;
  io::Task<VolumeInfo> create_now(Principal who, CreateVolume request);
  // Its row as it is now.
  io::Task<void> put(const VolumeInfo& info, const std::string& owner);
  io::Task<void> make(std::string id, Promise<VolumeInfo> promise);
  io::Task<VolumeInfo> update_now(Principal who, std::string id, UpdateVolume changes);
  // The kernel's limit of it, unless it holds more than that.
  io::Task<void> shrink(std::string id, Bytes from, Bytes to);
  io::Task<void> remove_now(Principal who, std::string id);
  io::Task<void> end_removal(std::string id);

  boost::asio::io_context& loop_;
  Parts parts_;
  Logger& log_;
  OnTheirWay on_their_way_;
  std::map<std::string, Kept> kept_;
};

}  // namespace lmsb::control
