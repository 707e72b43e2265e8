#pragma once
// CgroupTree: our directories in every cgroup hierarchy of the machine, and one branch of them for each sandbox.
//
// The v2 core is a hard requirement (kill, freeze, events, cpu.stat come from it, on hybrid machines too). Where the
// memory, pids, cpu and devices controllers are still v1, the limits are set there. A branch is
//     v2:  <ours>/<id>           the guest; limits on v2 machines
//          <ours>/<id>/work      every command: kill and freeze
//          <ours>/<id>/work/c-N  one command, made by the guest
//     v1:  <ours>/<id>           in memory, pids and cpu: guest and commands; devices: one list for all, on <ours>,
//                            and where sandboxes may have more (device_list.h) one for each that has none of it
// <ours> itself has a limit of memory and of processes, so that all sandboxes together leave the machine its share.
// The instance's v2 directory is locked while its launcher lives; open() removes what launchers that died have left,
// but for the branches of sandboxes that stay (staying.h), whose guests live. <ours> is root's alone: a guest reaches
// its part by a mount of its own (PrivateTree::clone_cgroup). Started by a user, the tree stands in the cgroup of v2
// that was delegated to that user, and has the limits whose controllers were, too. Not thread-safe. Blocks only on the
// kernel.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/cgroup_limits.h"
#include "launcher/starter.h"
#include "launcher/staying.h"
#include "sandbox/device_table.h"
#include "sandbox/launch_plan.h"

namespace lmsb::launcher {

// The branch of one sandbox. Descriptors only; remove() is the end of it.
struct SandboxCgroup {
  std::string id;
  UniqueFd v2;                 // <ours>/<id>
  std::vector<UniqueFd> join;  // write "0" to each: the writer enters the v1 branch (its own thread only, so
                               // that the kernel takes no global lock: an attach by pid can wait 7-14 ms)
  UniqueFd kill;               // work/cgroup.kill
  UniqueFd kill_all;           // cgroup.kill: the guest too
  UniqueFd memory_peak;
  UniqueFd memory_events;
  UniqueFd processes_peak;
  // Of a kept sandbox, for the daemon:
  UniqueFd freeze;  // work/cgroup.freeze
  UniqueFd state;   // work/cgroup.events
  UniqueFd memory_now;
  UniqueFd processes_now;
  UniqueFd processor;   // cpu.stat
  UniqueFd oom_event;   // the daemon's: readable once the sandbox ran out of its own memory (v1); else never
  UniqueFd oom_notice;  // v1 only: the kernel's notice, which also comes when all sandboxes together run out; see
                        // CgroupTree::is_at_its_limit()
};

// What all sandboxes together may have.
struct TreeLimits {
  std::uint64_t memory_bytes;
  std::uint64_t processes;
};
// All of the machine's memory but max(256 MiB, 5 %) and, where that is counted apart (v1), what their sockets may hold;
// and half of the processes that its kernel can have.
TreeLimits limits_of_all();

class CgroupTree {
 public:
  // Finds the hierarchies, removes what dead launchers left, makes and locks our directories named `name`. Of a user:
  // fails where no cgroup was delegated; what is marked as such and is not the user's is not taken.
  // `devices` are those that sandboxes may be given beside what each has.
  static Result<CgroupTree> open(const std::string& name, const TreeLimits& all, Starter starter = Starter::root,
                                 std::vector<sandbox::TableNode> devices = {});

  // Kills and removes what dead launchers left, but for what stays. For when none follows.
  static void sweep(Starter starter);

  // Makes the branch with the plan's limits; the v2 part that the guest may write belongs to `guest_uid` (outside).
  Result<SandboxCgroup> create(const sandbox::LaunchPlan& plan, std::uint32_t guest_uid,
                               CgroupUse use = CgroupUse::programs);
  // The sandbox of that branch stays when this launcher ends. Errors: unsupported (cgroups keep no attributes here).
  Status let_stay(const std::string& id, const Staying& staying) const;
  // The branches that are there: at the start those that stayed when an earlier launcher of this name ended, and
  // what could not be removed.
  struct Branch {
    std::string id;
    std::optional<Staying> staying;
  };
  // An error where it cannot be told what is there, or what stays.
  Result<std::vector<Branch>> branches() const;
  Result<bool> is_guest(const std::string& id, pid_t pid) const;  // of that branch
  // Such a branch, as create() returns it; nobody has to join it.
  Result<SandboxCgroup> reopen(const std::string& id) const;
  // Kills what is in these branches and removes them, within two seconds.
  void end(const std::vector<std::string>& ids);
  // The guests of all that stays in the tree of that name, whoever holds it. An error where that cannot be told.
  static Result<std::set<pid_t>> staying_guests(const std::string& name, Starter starter);
  // Whether a sandbox has come up against its own memory limit, ever (v1): a notice is then its own.
  bool is_at_its_limit(const std::string& id) const;
  // Where the limits of a branch are, to change them.
  Result<BranchDirectories> directories(const std::string& id) const;
  // Removes a branch whose processes are gone. False when something is still in it: try again later.
  bool remove(const std::string& id);
  // Removes our directories, unless something stays in them. The tree is empty else.
  void close();

  // Where cgroup v2 is mounted, for the launcher's mount namespace.
  const std::string& v2_mount() const { return v2_mount_; }
  const std::string& v2_path() const { return v2_path_; }  // ours, below the v2 mount
  bool is_hybrid() const { return !v1_.empty(); }
  // Whether the kernel refuses what runs there all devices but a sandbox's own.
  bool has_device_list() const { return has_device_list_; }
  // Whether what is in sockets has a limit: as memory on v2, by one of its own on v1, where the kernel has that and its
  // command line does not take it away.
  bool limits_sockets() const { return limits_sockets_; }
  // What the kernel keeps branches to.
  struct Kept {
    bool memory = true;
    bool cpu = true;
    bool processes = true;
    bool all() const { return memory && cpu && processes; }
    bool any() const { return memory || cpu || processes; }
  };
  const Kept& kept() const { return kept_; }

 private:
  // One v1 hierarchy that we use.
  struct V1 {
    std::string controller;
    UniqueFd ours;
  };
  CgroupTree() = default;
  Status open_parents(Starter starter);
  Status open_controllers(Starter starter);
  Status limit_all(const TreeLimits& all) const;
  Status limit(const sandbox::LaunchPlan& plan, CgroupUse use, SandboxCgroup& branch);
  Status limit_v1(const sandbox::LaunchPlan& plan, CgroupUse use, SandboxCgroup& branch, const V1& hierarchy);
  static Status open_kills(SandboxCgroup& branch);
  Status open_counters_v2(SandboxCgroup& branch) const;
  Status limit_v2(const sandbox::LaunchPlan& plan, SandboxCgroup& branch);
  static Status watch_memory_v1(SandboxCgroup& branch, int memory_directory);
  // What the daemon pauses a kept sandbox with, and reads its use from.
  Status open_for_kept(SandboxCgroup& branch) const;

  std::string name_;
  std::string v2_mount_;
  std::string v2_path_;
  UniqueFd v2_parent_;
  UniqueFd ours_;  // locked
  bool has_device_list_ = false;
  bool limits_sockets_ = true;
  Kept kept_;
  std::vector<sandbox::TableNode> devices_;
  std::vector<V1> v1_;
  std::vector<std::string> v1_controllers_;
  std::vector<UniqueFd> v1_parents_;  // of each
};

}  // namespace lmsb::launcher
