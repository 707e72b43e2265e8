#pragma once
// Snapshots: the real SnapshotService, over the registry's sandboxes and the launcher's store. A copy shares with its
// original what neither has changed, and takes some milliseconds.
//
// One loop, one thread. What has begun goes on when who waits for it goes away.
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "control/admission.h"
#include "control/control.h"
#include "control/event_log.h"
#include "control/fleet.h"
#include "control/held_names.h"
#include "control/ledger.h"
#include "control/lifecycle.h"
#include "control/on_their_way.h"
#include "control/quotas.h"
#include "control/registry.h"
#include "control/snapshot_manifest.h"
#include "control/snapshot_service.h"
#include "io/blocking_pool.h"

namespace lmsb::control {

// What a sandbox is made from, if not from an image alone.
struct Origin {
  std::string disk;  // the snapshot's id
  std::string image;
  ImageDefaults defaults;  // with the variables and the directory of the sandbox that it was taken of
  Limits limits;
};

// "" is fine: it has none. One that looks like an id of a snapshot would be nobody's to find. Error: invalid_name.
Status check_snapshot_name(const std::string& name);

class Snapshots final : public SnapshotService {
 public:
  struct Parts {
    Fleet& fleet;
    Registry& registry;
    Ledger& ledger;
    Lifecycle& lifecycle;
    EventLog& events;
    Admission& admission;
    // Makes a sandbox on a copy of the origin's disk, for which the quota has been taken.
    std::function<io::Task<SandboxInfo>(Principal who, CreateSandbox request, Origin origin, Quotas::Held quota)>
        create;
    std::function<io::Task<void>(Principal who, std::string id)> remove;  // a sandbox
    // Whether one could be started on its disk, if it were stopped. Errors: mounts_not_kept, volume_lost,
    // image_changed, ...
    std::function<Status(const KeptSandbox& sandbox)> can_start;
    std::function<std::size_t()> cap;  // how many the policy lets one owner have at this moment
    // Limits cut down to what the policy allows, the disk too.
    std::function<Limits(Limits limits)> within;
    // Whether a disk that lies on that image could be used here. Errors: image_not_found, image_changed.
    std::function<Status(const Origin& origin)> check_image;
    Quotas& quotas;
    io::BlockingPool& pool;  // for compressing
  };
  // All references outlive it and its tasks; it outlives the streams that it gave out.
  Snapshots(boost::asio::io_context& loop, Parts parts, Logger& log);

  // What an earlier daemon had. A row without a copy stays, as the store may be back the next time: nothing can be made
  // from it (snapshot_not_found). A copy without a row stays, without an owner.
  io::Task<void> take_over(std::vector<store::SnapshotRow> rows);
  // What the snapshots of that owner may hold.
  std::uint64_t bytes_of(const std::string& owner) const;

  // Of all of them, whoever's they are.
  std::set<std::string> ids() const;

  // A sandbox on a copy of the disk in the snapshot that the request names. Errors: snapshot_not_found, disk_lost
  // (nothing but its copy is known), image_changed, limit_in_use (it holds more than the disk is to), mounts_not_kept,
  // sandbox_busy, and those of creating.
  io::Task<SandboxInfo> create_from(Principal who, CreateSandbox request);

  io::Task<SnapshotInfo> take(Principal who, std::string sandbox, std::string name, SnapshotPromise promise) override;
  Result<SnapshotPage> list(const Principal& who, const std::string& sandbox, std::size_t limit,
                            const std::string& cursor) const override;
  Result<SnapshotInfo> get(const Principal& who, const std::string& id) const override;
  io::Task<void> remove(Principal who, std::string id) override;
  io::Task<std::vector<SandboxInfo>> fork(Principal who, std::string sandbox, std::size_t count,
                                          ForksPromise promise) override;
  io::Task<SandboxInfo> roll_back(Principal who, std::string sandbox, std::string snapshot) override;
  // snapshot_files.cc
  io::Task<std::unique_ptr<FileStream>> export_file(Principal who, std::string id) override;
  io::Task<SnapshotInfo> import_file(Principal who, ImportSnapshot request,
                                     std::shared_ptr<http::BodyReader> body) override;

 private:
  struct Kept {
    SnapshotInfo info;
    std::string owner;
    Origin origin;
    std::shared_ptr<const bool> exports = std::make_shared<const bool>();  // each export has a part of it
  };
  // One of the few exports and imports at a time, while it lives.
  using Transfer = OnTheirWay::Place;
  class Export;
  using Ended = std::function<io::Task<void>()>;
  io::Task<void> end_removal(std::string id);
  io::Task<void> gone(std::uint64_t archiver);  // waits until it is, for a moment
  // By id, name, or unique prefix of an id; of several of one name the one that is of the sandbox `of`, or his own.
  // Errors: snapshot_not_found, snapshot_ambiguous.
  Result<const Kept*> find(const Principal& who, const std::string& named, const std::string& of = {}) const;
  // The event, for who follows and for the audit log.
  void tell(std::string_view what, const Kept& kept, const std::string& by) const;
  // It gets that name, and nobody else of his meanwhile. Error: name_taken.
  Result<HeldNames::Held> hold_name(const std::string& owner, const std::string& name);
  Status check_count(const std::string& owner) const;  // with those that are being made: too_many_snapshots
  // Copies the disk of a sandbox while its processes stand still. Returns how long they did.
  io::Task<std::chrono::microseconds> copy(const Lifecycle::Hold& hold, std::string to);
  io::Task<SnapshotInfo> take_now(Principal who, std::string sandbox, std::string name, SnapshotPromise promise);
  io::Task<SnapshotInfo> take_of(const Lifecycle::Hold& hold, Principal who, std::string name, SnapshotPromise promise);
  io::Task<std::vector<SandboxInfo>> fork_now(Principal who, std::string sandbox, std::size_t count,
                                              ForksPromise promise);
  // One for each of `quotas`.
  io::Task<std::vector<SandboxInfo>> create_all(Principal who, Origin origin, const KeptSandbox& like,
                                                std::vector<Quotas::Held> quotas, ForksPromise promise);
  // They are all there: from here on they outlive the daemon, all of them or none.
  io::Task<void> settle(std::vector<SandboxInfo> made, ForksPromise promise);
  // Whether a disk of that size holds whatever may be in the snapshot. Error: limit_in_use.
  Status check_fits(const std::string& snapshot, Bytes disk) const;
  io::Task<void> remove_now(Principal who, std::string id);
  void enter(store::SnapshotRow row);
  // Of one whose copy is there, and fresh: from here on it stays. Else there is nothing of it.
  io::Task<void> write_down(Kept kept, Ledger::Answer answer);
  Result<std::shared_ptr<Transfer>> begin_transfer(const std::string& by);
  std::string sandbox_of(const SnapshotManifest& manifest, const std::string& owner) const;
  Result<Kept> imported(const Principal& who, const ImportSnapshot& request, const SnapshotManifest& manifest) const;
  io::Task<SnapshotInfo> enter_imported(Principal who, Kept kept, HeldNames::Held held_name,
                                        std::unique_ptr<Archiver> archiver, Quotas::Held quota,
                                        SnapshotPromise promise);
  // Its disk becomes a copy of the snapshot; it is stopped.
  io::Task<void> replace(Principal who, std::string sandbox, std::string snapshot);
  io::Task<void> roll_back_now(Principal who, std::string sandbox, std::string snapshot);

  Parts parts_;
  Logger& log_;
  std::map<std::string, Kept> kept_;  // by id
  HeldNames names_;                   // of those that are being made, or removed
  OnTheirWay on_their_way_;
  // Of each owner, how many snapshots are being made that check_count() counts already.
  std::shared_ptr<OnTheirWay::Counts> being_taken_ = std::make_shared<OnTheirWay::Counts>();
  std::shared_ptr<OnTheirWay::Counts> transfers_ =
      std::make_shared<OnTheirWay::Counts>();  // of each caller, how many exports and imports
};

}  // namespace lmsb::control
