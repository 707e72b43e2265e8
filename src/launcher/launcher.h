#pragma once
// Launcher: the privileged part. Carries out launch plans for a daemon that it does not trust.
//
// It parses fixed-size structs only, leases the ids itself, never maps the machine's root into a sandbox, and adds
// what no plan can leave out. Single-threaded: one epoll loop over the daemon's socket, the mounts socket and the
// guests' pidfds. When the daemon's socket closes, every sandbox ends and everything is given back; but where the
// policy lets them stay, those whose disks were claimed go on without daemon and launcher, and the next launcher of
// this run directory gives them to the next daemon (ADR 33).
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/cgroup_tree.h"
#include "launcher/device_tree.h"
#include "launcher/disk_store.h"
#include "launcher/id_pool.h"
#include "launcher/limit_changer.h"
#include "launcher/mount_desk.h"
#include "launcher/policy.h"
#include "launcher/private_tree.h"
#include "launcher/spawn.h"
#include "sandbox/launcher_protocol.h"

namespace lmsb::launcher {

class Launcher {
 public:
  // Builds the private tree and the cgroups, then gives up what the launcher does not need of root's power (power.h).
  // `guest_program` is a sealed memfd, `daemon` the socket.
  static Result<std::unique_ptr<Launcher>> create(const Policy& policy, UniqueFd guest_program, UniqueFd daemon);
  ~Launcher();
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  // What reads and writes snapshots as streams, a sealed memfd. Without it there are no such.
  Status use_archiver(UniqueFd program);
  // What serves the networks of sandboxes, the same. Without it none has one.
  Status use_gate(UniqueFd program);

  // Serves until the daemon's socket closes or `stop` (a descriptor) becomes readable; then ends all sandboxes.
  void run(int stop);

  // Carries out one plan with its passed mounts. Used by run(), the bench floor and tests.
  struct Launched {
    std::uint64_t serial = 0;
    std::uint32_t id_base = 0;
    bool has_disk = false;
    bool can_stay = false;
    std::array<UniqueFd, static_cast<std::size_t>(sandbox::SandboxFd::count)> fds;
  };
  struct Refusal {
    sandbox::LauncherStep step;
    int error;
  };
  std::optional<Launched> launch(const sandbox::LaunchPlan& plan, Refusal& refusal);
  // Kills everything in the sandbox and lets go of it. It is given back when its guest has been reaped.
  void kill(std::uint64_t serial);
  // Reaps guests that ended and gives their sandboxes back, waiting at most `timeout_ms` (-1 = until one ends).
  void wait(int timeout_ms);
  bool is_alive(std::uint64_t serial) const { return sandboxes_.contains(serial); }

 private:
  struct LimitChange {
    std::uint32_t request = 0;
    std::uint64_t memory_bytes = 0;
    bool is_answered = false;
    GuestProcess changer;
  };
  struct Sandbox {
    std::string id;
    std::uint32_t id_base = 0;
    bool is_kept = false;
    bool can_stay = false;  // its guest has a listener
    bool stays = false;     // when this launcher ends
    bool has_disk = false;
    std::string archived;          // of an archiver: the snapshot, which it has (has_disk) if it makes it
    std::uint64_t disk_bytes = 0;  // its limit
    bool keeps_disk = true;        // when it is given back; what nobody asked for any more is found by the next start
    std::uint32_t processes = 0;   // it was launched with: its guest's own limit
    GuestProcess guest;
    UniqueFd listener;   // until the guest has it
    UniqueFd disk_lock;  // the guest's too
    UniqueFd kill_all;
    UniqueFd oom_notice;  // v1: from the kernel; handle_oom() passes on to oom_event what is the sandbox's own
    UniqueFd oom_event;
    std::optional<LimitChange> change;                     // on its way
    std::vector<std::uint32_t> destroy_requests;           // to be answered when it is gone
    std::optional<std::pair<std::uint32_t, int>> refusal;  // of taking it up: request and errno, when it is gone
    bool reaped = false;                                   // its processes are gone
    bool released = false;  // nobody reads its counters any more: what is left of it may go
  };

  Launcher() = default;
  // The ids of a new sandbox with such a root; nothing when all are in use.
  bool shares_ids(guest_protocol::RootKind root) const;
  std::optional<std::uint32_t> lease(guest_protocol::RootKind root);
  void give_ids_back(std::uint32_t base);
  // Whose its user namespace is. Of root's its guest's; those of a user all are that user's, who has limits for all.
  std::uint32_t owner_of(const Sandbox& sandbox, guest_protocol::Profile profile) const;
  // For a mount of what is stored with the ids of the range of images; -1: without one, a user's.
  Result<int> mapping_of_image(std::uint32_t id_base);
  Status make_filters();
  int filter_of(const sandbox::LaunchPlan& plan) const;
  void serve_daemon();
  void answer(const sandbox::LauncherAnswer& answer, const int* fds = nullptr, std::size_t count = 0);
  void handle_launch(const sandbox::LaunchRequest& request);
  void handle_destroy(const sandbox::DestroyRequest& request);
  void handle_limit(const sandbox::LimitRequest& request);
  void handle_disk(const sandbox::DiskRequest& request);
  void handle_copy(const sandbox::CopyRequest& request);
  void handle_volume(const sandbox::VolumeRequest& request);
  void handle_archive(const sandbox::ArchiveRequest& request);
  void handle_gate(const sandbox::GateRequest& request);
  Status begin_gate(Sandbox& sandbox, std::uint64_t serial, UniqueFd& channel);
  // The daemon's ends.
  struct ArchiveEnds {
    UniqueFd channel;
    UniqueFd stream;
  };
  Status begin_archive(const sandbox::ArchiveRequest& request, Sandbox& sandbox, std::uint64_t serial,
                       ArchiveEnds& ends);
  Status hand_over_archive(guest_protocol::ArchiveWay way, const Sandbox& sandbox, ArchiveEnds& ends);
  bool is_archived(const std::string& disk) const;
  bool begin_job(std::uint32_t request, std::string made, const std::function<Result<GuestProcess>()>& start);
  void handle_job(std::uint64_t job);
  void refuse(std::uint32_t request, sandbox::LauncherStep step, int error);
  // Starts the change, to be answered when it has ended. Error with the errno of the answer.
  Status begin_change(const sandbox::LimitRequest& request);
  void handle_changed(std::uint64_t serial);
  void answer_launch(std::uint32_t request, const Launched& launched);
  Launched launched_of(const Sandbox& sandbox, std::uint64_t serial, SandboxCgroup branch, UniqueFd channel) const;
  // One of an earlier launcher's, until it is asked for.
  struct Left {
    Staying staying;
    UniqueFd pidfd;
  };
  Status open_meetings();
  Status find_left();
  void remove_unremoved();
  void forget_meetings();
  void make_meeting(Sandbox& sandbox);
  Status meet(Sandbox& sandbox);
  Status let_stay(Sandbox& sandbox);
  void tell_next_left(std::uint32_t request, const std::string& after);
  void tell_next_stray(std::uint32_t request, const std::string& after);
  void handle_take_up(std::uint32_t request, const std::string& id);
  void open_network(std::uint32_t request, const std::string& id);
  Result<Launched> open_left(Sandbox& sandbox, std::uint64_t serial);
  void leave(std::uint64_t serial);
  static void widen(int channel);
  Status free_disk(const std::string& id);
  void handle_exit(std::uint64_t serial);
  void handle_oom(std::uint64_t serial);
  void give_back(std::uint64_t serial);
  void retry_removals();
  void end_all();
  void wait_all();
  Result<sandbox::LaunchPlan> check_policy(const sandbox::LaunchPlan& asked) const;
  Status watch(const Sandbox& sandbox, std::uint64_t serial);
  Status watch_memory(const Sandbox& sandbox, std::uint64_t serial);
  Status build(const sandbox::LaunchPlan& plan, Sandbox& sandbox, int channel, sandbox::LauncherStep& step);
  // The ids of its first process, which waits for them; the kernel is to take it as any other.
  Status map_ids(const Sandbox& sandbox) const;
  Status hand_over(const sandbox::LaunchPlan& plan, Sandbox& sandbox, int channel);
  // Ids on the disk, and what they are to a sandbox.
  struct IdMap {
    std::uint32_t inside;
    std::uint32_t outside;
    std::uint32_t count;
  };
  // The store, where the policy wants one and the machine can have it.
  Status open_store();
  Result<DiskStore> open_store_anew();
  Status provide_disk(sandbox::LaunchPlan& plan, Sandbox& sandbox);
  Status claim_disk(const std::string& id);
  Status settle_disk(const std::string& id);
  void tell_next(std::uint32_t request, const std::string& after);
  void tell_weight(std::uint32_t request, const std::string& id);
  void sweep();
  // `user`: whose, inside, the files of a directory are.
  Result<UniqueFd> source_of(const sandbox::PlanMount& mount, std::uint32_t id_base, std::uint32_t user);
  static Result<int> mapping_of(std::map<std::uint32_t, UniqueFd>& made, const IdMap& map);

  Policy policy_;
  UniqueFd guest_program_;
  // Sealed memfds with the seccomp programs.
  UniqueFd filter_;
  UniqueFd root_filter_;    // of Profile::root
  UniqueFd set_id_filter_;  // the same, and setuid files may be made
  UniqueFd archiver_program_;
  UniqueFd archiver_filter_;
  UniqueFd gate_program_;
  UniqueFd gate_filter_;
  UniqueFd daemon_;
  UniqueFd epoll_;
  std::optional<DiskStore> store_;
  std::optional<DeviceTree> devices_;  // where policy_ has some
  std::optional<PrivateTree> tree_;
  std::optional<CgroupTree> cgroups_;
  std::optional<IdPool> ids_;
  std::unique_ptr<MountDesk> mounts_;  // null: mounts are off
  std::map<std::uint64_t, Sandbox> sandboxes_;
  std::set<std::uint64_t> unremoved_sandboxes_;  // of those: nothing runs in them, and their cgroups are still busy
  // Names of cgroups follow from them: never two of one. Their serials; 0: of a copy that is being made, or left_.
  std::map<std::string, std::uint64_t> live_ids_;
  std::map<std::string, Left> left_;
  std::vector<std::string> unremoved_;  // branches of what an earlier launcher left, in which something died too slowly
  UniqueFd meetings_;                   // directory of the guests' listeners
  std::map<std::uint32_t, UniqueFd> image_userns_;   // by range: ranges come around, and making one costs a process
  std::map<std::uint32_t, UniqueFd> shared_userns_;  // of the machine's /usr, and of what all sandboxes see
  struct DiskJob {
    std::uint32_t request = 0;  // to be answered
    GuestProcess helper;
    std::string made;  // the id of what it makes, one of live_ids_ until then; "" = nothing
  };
  std::map<std::uint64_t, DiskJob> jobs_;  // copies and syncs of disks
  std::uint64_t next_job_ = 1;
  std::size_t changes_ = 0;  // of limits, on their way
  std::uint64_t next_serial_ = 1;
  std::uint32_t cpu_count_ = 1;
  bool resets_oom_score_ = false;  // ours is low, and guests would inherit it
};

}  // namespace lmsb::launcher
