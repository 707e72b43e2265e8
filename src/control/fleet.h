#pragma once
// Fleet: every sandbox that this daemon has the launcher make, and the pool of prepared ones.
//
// Launches overlap; destruction is off the path and bounded: while too many sandboxes are still being taken apart, new
// ones wait. One loop, one thread. The handles it gives out must be gone before the Fleet.
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "base/metrics.h"
#include "control/archiver.h"
#include "control/gate.h"
#include "control/network_usage.h"
#include "control/sandbox_handle.h"
#include "io/event.h"
#include "io/wait_fd.h"
#include "sandbox/launcher_client.h"

namespace lmsb::control {

// What the pool keeps ready: sandboxes that differ in nothing but their id.
struct PoolKind {
  std::string image;
  sandbox::Limits limits;
  sandbox::Lifetime lifetime = sandbox::Lifetime::one_shot;
  bool operator==(const PoolKind&) const = default;
};

class Fleet {
 public:
  struct Options {
    std::size_t max_destroying = 64;  // sandboxes being taken apart before launches wait
    std::chrono::milliseconds launch_timeout{10'000};
  };
  // `loop`, `metrics` and `log` outlive the fleet.
  Fleet(boost::asio::io_context& loop, sandbox::LauncherClient client, Options options, Metrics& metrics, Logger& log);
  ~Fleet();

  using Handle = std::unique_ptr<SandboxHandle>;

  // A fresh sandbox, nothing prepared. Errors name the step that failed.
  io::Task<Handle> launch(sandbox::SandboxSpec spec);
  // Those that run since an earlier daemon, and that nobody has taken up yet.
  io::Task<std::set<std::string>> list_left();
  // The cgroups that belong to no sandbox: there should be none.
  io::Task<std::set<std::string>> list_strays();
  // One of those that run since an earlier daemon, with its guest's word that it stands. Errors: not_found, and those
  // of a launch; it has ended then.
  io::Task<Handle> take_up(std::string id, std::string image);
  // A sandbox of a kind, prepared if there is one. While enough are left the pool is filled up only when a sandbox has
  // ended: whoever has just taken one needs the processors for its command.
  io::Task<Handle> take(PoolKind kind);
  // Destroys a sandbox that has done its work, after what runs now: an answer that is ready is not kept waiting.
  void discard(Handle handle);
  // Waits until everything of a sandbox whose handle is gone has been given back. Errors: cancelled, unavailable (the
  // launcher is gone), deadline_exceeded.
  io::Task<void> wait_destroyed(std::uint64_t serial, io::Deadline deadline = io::Deadline::never());
  // Gives a kept sandbox other limits; its disk stays what it is. Says the limit of memory that it has now: by a lower
  // policy it gets no more than it had. The launcher answers within seconds. Errors:
  // limit_in_use (it uses more memory than that), sandbox_busy, sandbox_lost, cancelled (they may be changed all the
  // same), launcher_lost.
  io::Task<Bytes> change_limits(std::uint64_t serial, sandbox::Limits limits);
  // Removes a snapshot, a volume, or the disk of a sandbox that does not run; none is fine. Errors: cancelled (it may
  // be removed all the same), launcher_lost.
  io::Task<void> remove_disk(std::string id);
  // One more that has a part in something of the fleet's, for as long as it lives; the fleet may go before it.
  class Share {
   public:
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   protected:
    Share(Fleet& fleet, std::size_t Fleet::*shares) : fleet_(fleet.self_), shares_(shares) { ++(fleet.*shares); }
    ~Share();

   private:
    std::weak_ptr<Fleet*> fleet_;
    std::size_t Fleet::*shares_;
  };
  // Held from before what is claimed is written down. While one lives the pool of kept sandboxes is not filled up
  // before it is empty: the launcher, which does one thing at a time, would let the claim wait for a whole launch.
  struct Claiming : Share {
    explicit Claiming(Fleet& fleet) : Share(fleet, &Fleet::claiming_) {}
  };
  // What was made fresh, by a launch or a copy, stays. Errors: disk_lost (nothing fresh has that id), cancelled,
  // launcher_lost.
  io::Task<void> claim_disk(const Claiming& claiming, std::string id);
  // Errors: store_failed (nothing can be written to disks any more), one with the errno ENODEV (there is no store),
  // cancelled, launcher_lost.
  io::Task<void> check_store();
  // What was never claimed goes, but for what a sandbox uses now.
  io::Task<void> sweep_disks();
  // What a disk holds, as its limit counts; half a minute old at most. Errors: disk_lost, cancelled, launcher_lost.
  io::Task<std::uint64_t> weigh_disk(std::string id);
  // An empty volume, fresh until it is claimed; and what one may hold from now on. Errors: disk_lost (there is no
  // store, or no such volume), store_full, cancelled (it may be done all the same), launcher_lost.
  io::Task<void> make_volume(std::string id, Bytes size);
  io::Task<void> limit_volume(std::string id, Bytes size);
  // What has gone through a kept sandbox's network; nothing of one that has just ended. Errors: cancelled,
  // launcher_lost.
  io::Task<NetworkUsage> network_usage(std::string id);
  // One of the few places of those that copy or sync; whoever has it need not wait between one and the next.
  struct DiskPlace : Share {
    explicit DiskPlace(Fleet& fleet) : Share(fleet, &Fleet::disk_places_) {}
  };
  // Errors: sandbox_busy (no place for a minute), cancelled (by the daemon's end, too), launcher_lost.
  io::Task<std::unique_ptr<DiskPlace>> disk_place();
  // Copies a disk or snapshot, as it is then, to what is fresh until it is claimed; Replaces::yes: in place of a disk
  // that nobody uses. Errors: disk_lost, snapshot_not_found, store_full, deadline_exceeded (two minutes) and cancelled
  // (it may be copied all the same), launcher_lost.
  enum class Replaces : std::uint8_t { no, yes };
  io::Task<void> copy_disk(const DiskPlace& place, std::string from, std::string to, Replaces replaces);
  // What was written to disks so far is there: copying takes less time afterwards.
  io::Task<void> sync_disks(const DiskPlace& place);
  // Whether a disk, snapshot or volume holds no more than that, with what was written to it so far. Errors, beside
  // those of weigh_disk() and of copying: limit_in_use.
  io::Task<void> check_holds(const DiskPlace& place, std::string id, Bytes most);
  // Starts what reads a snapshot as a stream, or makes one of `most` octets at most, which is fresh until it is
  // claimed. It may use as much memory as `room` holds. Errors: snapshot_not_found, sandbox_busy (too many at once),
  // store_full, and those of a launch.
  io::Task<std::unique_ptr<Archiver>> archive(std::string snapshot, guest_protocol::ArchiveWay way, Bytes most,
                                              Capacity::Share room);
  // Starts what serves the network of a sandbox. Errors: those of a launch.
  io::Task<std::unique_ptr<Gate>> open_gate();
  // The ids of all claimed disks, whoever's they are; of snapshots or volumes with their prefix.
  io::Task<std::set<std::string>> list_disks(std::string prefix = "");
  // Drops what is prepared of an image: it was rebuilt or removed.
  void forget_ready(const std::string& image);
  // From now on `size` sandboxes of this kind are kept ready. Preparing happens off every request's path.
  void keep_ready(PoolKind kind, std::size_t size);

  // Ends when the launcher is gone: the daemon cannot go on without it.
  io::Task<void> wait_launcher_gone();
  // Drops the pool and waits until every sandbox has been given back.
  io::Always<void> drain();

  std::size_t prepared() const;  // sandboxes ready in the pool

  // For whoever waits for something while the daemon ends: `cancelled`, which is answered 503 daemon_ends.
  static Error daemon_ends();
  // Whether disks of kept sandboxes may outlive them here; nothing: none has been launched yet.
  std::optional<bool> keeps_disks() const { return keeps_disks_; }
  bool is_draining() const { return draining_; }
  std::size_t destroying() const { return destroying_; }

 private:
  struct Pool {
    PoolKind kind;
    std::size_t size = 0;
    std::size_t launching = 0;
    std::deque<Handle> ready;
    std::uint32_t failures_in_a_row = 0;
    bool is_low() const { return ready.size() + launching <= size / 2; }
  };
  struct Pending {
    explicit Pending(boost::asio::io_context& loop) : answered(loop) {}
    std::optional<Result<sandbox::LaunchedSandbox>> answer;
    sandbox::LauncherClient::Disk disk =
        sandbox::LauncherClient::Disk::remove;  // of a launch that nobody wants any more
    io::Event answered;
  };

  static Error launcher_gone();
  io::Always<void> read_answers();
  void send_rest();
  static io::Always<void> flush(Fleet* fleet);
  void handle(sandbox::LauncherClient::Answer answer);
  void release(std::uint64_t serial, sandbox::LauncherClient::Disk disk, Capacity::Share room = {});
  void forget(std::uint64_t serial);
  // The answer to a request that has been sent.
  io::Task<sandbox::LaunchedSandbox> answer_to(std::uint32_t request, io::Deadline deadline = io::Deadline::never());
  using SendNext = Result<std::uint32_t> (sandbox::LauncherClient::*)(const std::string& after);
  io::Task<std::set<std::string>> list(SendNext send_next, std::string from);
  io::Task<std::string> next(SendNext send_next, std::string after);
  io::Task<void> disk_job(Result<std::uint32_t> request);
  io::Task<void> tell(Result<std::uint32_t> request);  // that has been sent, or could not be
  void refill();
  bool waits_to_refill() const;
  void do_chores_later();
  static io::Always<void> prepare(Fleet* fleet, Pool* pool);
  io::Task<Handle> launch_and_wait(sandbox::SandboxSpec spec);
  // The answer to a launch, of a sandbox or an archiver, that has been asked for: from here on it is held. When nobody
  // waits any more what comes all the same is destroyed, and its disk becomes what `if_unwanted` says.
  io::Task<sandbox::LaunchedSandbox> launched(std::uint32_t request, sandbox::LauncherClient::Disk if_unwanted,
                                              io::Deadline deadline);
  // Of a launch that has been asked for. Of one that fails everything has been given back.
  io::Task<Handle> stand(std::uint32_t request, sandbox::SandboxSpec spec, SandboxHandle::Guest guest,
                         io::Deadline deadline);
  void note_eviction(const std::string& id, int times);

  boost::asio::io_context& loop_;
  sandbox::LauncherClient client_;
  Options options_;
  Logger& log_;
  Counter& launches_;
  Counter& launch_failures_;
  Counter& root_launches_;
  Counter& pool_hits_;
  Counter& pool_misses_;
  Counter& evictions_;
  Histogram& launch_seconds_;
  io::FdWatch watch_;
  std::map<std::uint32_t, std::shared_ptr<Pending>> pending_;         // launches
  std::map<std::uint32_t, sandbox::LauncherClient::Disk> abandoned_;  // those whose requester went away
  std::map<std::uint32_t, std::shared_ptr<Pending>> asked_;           // other questions, until they are answered
  std::size_t limiting_ = 0;                                          // changes of limits among them
  std::size_t disk_places_ = 0;                                       // shares
  std::size_t claiming_ = 0;                                          // shares
  struct Ending {
    std::uint64_t serial = 0;
    Capacity::Share room;  // until what it counts for has been given back
  };
  std::map<std::uint32_t, Ending> destroy_requests_;  // by request
  std::set<std::uint64_t> held_;                      // serials whose handle lives
  std::vector<Handle> discarded_;                     // to be destroyed by the next chores
  std::size_t destroying_ = 0;
  std::size_t in_flight_ = 0;  // tasks of ours that still run
  std::optional<bool> keeps_disks_;
  bool launcher_gone_ = false;
  bool is_flushing_ = false;
  bool chores_are_due_ = false;
  bool refill_is_due_ = false;  // it waits for those that claim
  bool draining_ = false;
  io::Event changed_;  // destroying_, launcher_gone_, in_flight_
  std::vector<std::unique_ptr<Pool>> pools_;
  std::shared_ptr<Fleet*> self_ = std::make_shared<Fleet*>(this);
};

}  // namespace lmsb::control
