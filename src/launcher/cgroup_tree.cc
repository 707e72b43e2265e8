#include "launcher/cgroup_tree.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "launcher/cgroup_host.h"
#include "launcher/cgroup_limits.h"
#include "launcher/device_list.h"
#include "os/directory_stream.h"
#include "os/file_lock.h"
#include "os/files.h"

namespace lmsb::launcher {
namespace {

constexpr const char* kPrefix = "lmsb-";
constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

Error cgroup_error(const std::string& what) { return Error::from_errno(errno, "cgroup: " + what); }

Result<UniqueFd> make_and_open(int parent, const std::string& name) {
  if (::mkdirat(parent, name.c_str(), 0755) < 0 && errno != EEXIST) return cgroup_error("make " + name);
  UniqueFd directory(::openat(parent, name.c_str(), kDirectory));
  if (!directory) return cgroup_error("open " + name);
  return directory;
}

// Nobody but root can open it: who can may lock it, too.
Result<UniqueFd> make_and_open_private(int parent, const std::string& name) {
  constexpr mode_t kMode = 0700;
  if (::mkdirat(parent, name.c_str(), kMode) < 0 && errno != EEXIST) return cgroup_error("make " + name);
  UniqueFd directory(::openat(parent, name.c_str(), kDirectory));
  if (!directory || ::fchmod(directory.get(), kMode) < 0) return cgroup_error("open " + name);
  return directory;
}

Result<std::vector<std::string>> list_subdirectories(int directory) {
  const auto stream = os::stream_of(UniqueFd(::openat(directory, ".", kDirectory)));
  if (!stream) return cgroup_error("list");
  std::vector<std::string> names;
  const dirent* entry = nullptr;
  while (errno = 0, (entry = ::readdir(stream.get())) != nullptr)
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  const int error = errno;  // 0: at the end
  if (error != 0) return Error::from_errno(error, "cgroup: list");
  return names;
}

std::vector<std::string> subdirectories(int directory) {
  auto names = list_subdirectories(directory);
  return names.ok() ? *std::move(names) : std::vector<std::string>();
}

// Removes `name` and everything below it. False when something is still populated.
bool remove_tree(int parent, const std::string& name) {
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;  // most are empty
  {
    const UniqueFd directory(::openat(parent, name.c_str(), kDirectory));
    if (!directory) return errno == ENOENT;
    for (const std::string& child : subdirectories(directory.get()))
      if (!remove_tree(directory.get(), child)) return false;
  }
  return ::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT;
}

// Waits until a v2 cgroup holds no process.
void wait_empty(int directory, std::chrono::steady_clock::time_point deadline) {
  const UniqueFd events(::openat(directory, "cgroup.events", O_RDONLY | O_CLOEXEC));
  pollfd wait{events.get(), POLLPRI, 0};
  constexpr int kTurnMs = 100;  // a change between looking and waiting is missed at most that long
  while (events && std::chrono::steady_clock::now() < deadline) {
    if (os::read_text_at(directory, "cgroup.events").find("populated 0") != std::string::npos) return;
    (void)::poll(&wait, 1, kTurnMs);
  }
}

// A counter that older kernels do not keep: then an empty file.
UniqueFd open_counter(int directory, const char* name) {
  UniqueFd file(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  if (!file) file.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return file;
}

bool is_locked_by_a_living_launcher(int directory) { return ::flock(directory, LOCK_EX | LOCK_NB) < 0; }

// The guest of what stays in a branch; nothing: none does. A guest that has ended takes its sandbox with it.
Result<std::optional<pid_t>> staying_guest_of(int branch) {
  std::optional<pid_t> guest;
  LMSB_TRY(const auto staying, read_staying(branch));
  if (!staying) return guest;
  LMSB_TRY(const bool is_alive, is_guest_of(branch, staying->pid));
  if (is_alive) guest = staying->pid;
  return guest;
}

// The guests of what stays below `tree`. An error where that cannot be told (no descriptors, say): then nothing may be
// taken for what does not.
Result<std::map<std::string, pid_t>> staying_in(int tree) {
  LMSB_TRY(const auto ids, list_subdirectories(tree));
  std::map<std::string, pid_t> guests;
  for (const std::string& id : ids) {
    const UniqueFd branch(::openat(tree, id.c_str(), kDirectory));
    if (!branch && errno == ENOENT) continue;
    if (!branch) return cgroup_error("open " + id);
    LMSB_TRY(const auto guest, staying_guest_of(branch.get()));
    if (guest) guests.emplace(id, *guest);
  }
  return guests;
}

constexpr std::chrono::seconds kEndLimit{2};

// Kills all that is in these cgroups below a v2 parent, and removes them there and below the v1 ones.
void end_all(int v2_parent, const std::vector<UniqueFd>& v1_parents, const std::vector<std::string>& paths) {
  std::vector<UniqueFd> opened;
  for (const std::string& path : paths) {
    opened.emplace_back(::openat(v2_parent, path.c_str(), kDirectory));
    (void)os::write_text_at(opened.back().get(), "cgroup.kill", "1");
  }
  const auto deadline = std::chrono::steady_clock::now() + kEndLimit;
  for (const UniqueFd& directory : opened) wait_empty(directory.get(), deadline);
  opened.clear();
  for (const std::string& path : paths) {
    (void)remove_tree(v2_parent, path);
    for (const UniqueFd& parent : v1_parents) (void)remove_tree(parent.get(), path);
  }
}

// The branches of a tree in any hierarchy: one that was cut short while it was removed may be left in some.
Result<std::set<std::string>> branches_of(int v2_tree, const std::vector<UniqueFd>& v1_trees) {
  LMSB_TRY(const auto names, list_subdirectories(v2_tree));
  std::set<std::string> ids(names.begin(), names.end());
  for (const UniqueFd& tree : v1_trees)
    if (tree)
      for (std::string& id : subdirectories(tree.get())) ids.insert(std::move(id));
  return ids;
}

// Kills and removes the trees of launchers that are gone, nobody holds their lock, but for what stays in them.
void sweep_dead_instances(int v2_parent, const std::vector<UniqueFd>& v1_parents) {
  for (const std::string& name : subdirectories(v2_parent)) {
    if (name.rfind(kPrefix, 0) != 0) continue;
    const UniqueFd directory(::openat(v2_parent, name.c_str(), kDirectory));
    if (!directory || is_locked_by_a_living_launcher(directory.get())) continue;
    const auto staying = staying_in(directory.get());
    if (!staying.ok()) continue;  // the next start looks again
    std::vector<UniqueFd> v1_trees;
    for (const UniqueFd& parent : v1_parents) v1_trees.emplace_back(::openat(parent.get(), name.c_str(), kDirectory));
    const auto branches = branches_of(directory.get(), v1_trees);
    if (!branches.ok()) continue;
    std::vector<std::string> ended;
    for (const std::string& id : *branches)
      if (!staying->contains(id)) ended.push_back(name + "/" + id);
    if (staying->empty()) ended = {name};
    end_all(v2_parent, v1_parents, ended);
  }
}

Status allow_only_our_devices(int directory) {
  LMSB_CHECK(os::write_text_at(directory, "devices.deny", "a"));
  for (const guest_protocol::DeviceNode& node : guest_protocol::kDevices)
    LMSB_CHECK(os::write_text_at(directory, "devices.allow",
                                 "c " + std::to_string(node.major) + ":" + std::to_string(node.minor) + " rw"));
  for (const char* pty : {"c 5:2 rw", "c 136:* rw"}) LMSB_CHECK(os::write_text_at(directory, "devices.allow", pty));
  return {};
}

Status write_devices(int directory, const char* file, const std::vector<sandbox::TableNode>& devices) {
  for (const sandbox::TableNode& node : devices)
    if (!node.is_block)
      LMSB_CHECK(os::write_text_at(directory, file,
                                   "c " + std::to_string(node.major) + ":" + std::to_string(node.minor) + " rw"));
  return {};
}

std::uint64_t read_number(const char* path, std::uint64_t otherwise) {
  const std::string text = os::read_text(path);
  return text.empty() ? otherwise : std::strtoull(text.c_str(), nullptr, 10);
}

bool counts_sockets_apart() {
  const auto hierarchies = find_hierarchies();
  if (!hierarchies.ok()) return true;  // it may be: they get room
  return std::any_of(hierarchies->begin(), hierarchies->end(), [](const Hierarchy& hierarchy) {
    const auto& names = hierarchy.controllers;
    return !hierarchy.is_v2 && std::find(names.begin(), names.end(), "memory") != names.end();
  });
}

}  // namespace

TreeLimits limits_of_all() {
  struct sysinfo info {};
  (void)::sysinfo(&info);  // cannot fail
  const std::uint64_t memory = std::uint64_t{info.totalram} * info.mem_unit;
  const std::uint64_t sockets = counts_sockets_apart() ? bytes_for_sockets(memory) : 0;
  const std::uint64_t reserve = std::max<std::uint64_t>(256U << 20U, memory / 20) + sockets;
  const std::uint64_t processes =
      std::min(read_number("/proc/sys/kernel/pid_max", 32768), read_number("/proc/sys/kernel/threads-max", 32768));
  return {memory - std::min(reserve, memory / 2), processes / 2};
}

// A user's own tree stands only where somebody gave that user a place, and nobody else can end or stop what is in it.
Status require_own(const std::string& mount_point, const std::string& path) {
  if (is_own_cgroup(mount_point + path)) return {};
  return Error(ErrorCode::failed_precondition, "cgroup " + path + " is marked as delegated, and is not this user's")
      .with_hint("its directory and its cgroup.procs have to be the user's and of the user's group");
}

Error nothing_delegated() {
  return Error(ErrorCode::failed_precondition,
               "no cgroup was delegated to this user: what sandboxes start could not be ended as a whole")
      .with_hint(
          "systemd-run --user --scope -p Delegate=yes lm-sandbox serve; docs/user/rootless.md says how without "
          "systemd");
}

Status CgroupTree::open_parents(Starter starter) {
  LMSB_TRY(const auto hierarchies, find_hierarchies());
  const auto v2 = std::find_if(hierarchies.begin(), hierarchies.end(), [](const Hierarchy& h) { return h.is_v2; });
  if (v2 == hierarchies.end())
    return Error(ErrorCode::unsupported, "cgroup v2 is not mounted")
        .with_hint("mount it: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified");
  v2_mount_ = v2->mount_point;
  const std::string base = delegated_path(v2->mount_point, starter);
  v2_parent_.reset(::open((v2->mount_point + base).c_str(), kDirectory));
  if (!v2_parent_) return cgroup_error("open " + v2->mount_point + base);
  v2_path_ = (base.empty() ? "" : base.substr(1) + "/") + name_;
  if (starter == Starter::user) return base.empty() ? nothing_delegated() : require_own(v2_mount_, base);
  for (const Hierarchy& hierarchy : hierarchies)
    for (const std::string& controller : hierarchy.controllers)
      if (controller == "memory" || controller == "pids" || controller == "cpu" || controller == "devices") {
        v1_parents_.emplace_back(::open(hierarchy.mount_point.c_str(), kDirectory));
        if (!v1_parents_.back()) return cgroup_error("open " + hierarchy.mount_point);
        v1_controllers_.push_back(controller);
      }
  return {};
}

// Ours, locked. Another launcher that starts takes the lock, too, to see whether we live: for seconds when it removes
// what was left in there, and then the directory is gone.
Result<UniqueFd> lock_own(int parent, const std::string& name) {
  constexpr std::chrono::milliseconds kSweeps{15'000};
  for (int tries = 0; tries < 8; ++tries) {
    LMSB_TRY(UniqueFd ours, make_and_open_private(parent, name));
    LMSB_TRY(const bool is_locked, os::lock_file(ours.get(), kSweeps));
    if (!is_locked) break;
    if (os::is_still_named(ours.get(), parent, name.c_str())) return ours;
  }
  return Error(ErrorCode::already_exists, "cgroup " + name + " belongs to a running launcher")
      .with_hint("stop it, or choose another directory with --run-dir");
}

// Of v2, for what is below ours.
Status CgroupTree::open_controllers(Starter starter) {
  if (starter == Starter::user) {
    const std::string there = " " + os::read_text_at(v2_parent_.get(), "cgroup.controllers");
    const auto has = [&there](const char* name) {
      const std::size_t at = there.find(std::string(" ") + name);
      return at != std::string::npos && std::strchr(" \n", there[at + 1 + std::strlen(name)]) != nullptr;
    };
    kept_ = {has("memory"), has("cpu"), has("pids")};
  }
  limits_sockets_ = limits_sockets_ && kept_.memory;
  if (!kept_.any()) return {};
  std::string wanted;
  const auto want = [&wanted](bool is_wanted, const char* name) {
    if (is_wanted) wanted += (wanted.empty() ? "" : " ") + std::string(name);
  };
  want(kept_.memory, "+memory");
  want(kept_.processes, "+pids");
  want(kept_.cpu, "+cpu");
  for (const int directory : {v2_parent_.get(), ours_.get()}) LMSB_CHECK(enable_controllers(directory, wanted));
  return {};
}

Result<CgroupTree> CgroupTree::open(const std::string& name, const TreeLimits& all, Starter starter,
                                    std::vector<sandbox::TableNode> devices) {
  CgroupTree tree;
  tree.devices_ = std::move(devices);
  tree.name_ = kPrefix + name;
  LMSB_CHECK(tree.open_parents(starter));
  sweep_dead_instances(tree.v2_parent_.get(), tree.v1_parents_);
  LMSB_TRY(tree.ours_, lock_own(tree.v2_parent_.get(), tree.name_));
  const Status listed = list_devices_v2(tree.ours_.get(), tree.devices_);
  tree.has_device_list_ = listed.ok();
  LMSB_TRY(const auto branches, list_subdirectories(tree.ours_.get()));
  for (std::size_t i = 0; i < tree.v1_controllers_.size(); ++i) {
    LMSB_TRY(UniqueFd ours, make_and_open_private(tree.v1_parents_[i].get(), tree.name_));
    // What runs there must not find them denied for a moment.
    if (tree.v1_controllers_[i] == "devices" && branches.empty()) LMSB_CHECK(allow_only_our_devices(ours.get()));
    if (tree.v1_controllers_[i] == "devices") LMSB_CHECK(write_devices(ours.get(), "devices.allow", tree.devices_));
    tree.has_device_list_ = tree.has_device_list_ || tree.v1_controllers_[i] == "devices";
    if (tree.v1_controllers_[i] == "memory") tree.limits_sockets_ = limits_sockets_v1(ours.get());
    tree.v1_.push_back({tree.v1_controllers_[i], std::move(ours)});
  }
  tree.limits_sockets_ = tree.limits_sockets_ && counts_kernel_memory();
  if (!tree.has_device_list_)
    std::fprintf(stderr, "lm-sandbox: warning: sandboxes have no list of devices: %s\n",
                 listed.error().message().c_str());
  if (!tree.is_hybrid()) LMSB_CHECK(tree.open_controllers(starter));
  const Status limited = tree.limit_all(all);
  if (!limited.ok() && branches.empty()) return Error(limited.error());
  if (!limited.ok())  // the limits that they had stay: the kernel takes no others while they are in use
    std::fprintf(stderr, "lm-sandbox: warning: the limits of all sandboxes together stay as they were: %s\n",
                 limited.error().message().c_str());
  return tree;
}

Status CgroupTree::limit_all(const TreeLimits& all) const {
  for (const V1& hierarchy : v1_) {
    const int ours = hierarchy.ours.get();
    if (hierarchy.controller == "memory") {
      (void)os::write_text_at(ours, "memory.use_hierarchy", "1");  // before 5.11 it was a choice
      LMSB_CHECK(limit_memory_v1(ours, all.memory_bytes));
    }
    if (hierarchy.controller == "pids") LMSB_CHECK(limit_processes(ours, all.processes));
  }
  if (is_hybrid()) return {};
  if (kept_.memory) LMSB_CHECK(limit_memory_v2(ours_.get(), all.memory_bytes));
  return kept_.processes ? limit_processes(ours_.get(), all.processes) : Status();
}

Result<SandboxCgroup> CgroupTree::create(const sandbox::LaunchPlan& plan, std::uint32_t guest_uid, CgroupUse use) {
  SandboxCgroup branch;
  branch.id = plan.id.data();
  // One that is started again has the name that it had, maybe in the tree that a killed launcher left.
  if (plan.disk > guest_protocol::Disk::fresh && !remove(branch.id))
    return Error::from_errno(EAGAIN, "something of the sandbox's last life is still there");
  const auto fill = [&]() -> Status {
    LMSB_TRY(branch.v2, make_and_open(ours_.get(), branch.id));
    if (::mkdirat(branch.v2.get(), "work", 0755) < 0) return cgroup_error("make work");
    for (const char* path : {"cgroup.procs", "work"})  // the guest enters commands below work, from its own place
      if (::fchownat(branch.v2.get(), path, guest_uid, guest_uid, 0) < 0) return cgroup_error("give work away");
    LMSB_CHECK(open_kills(branch));
    LMSB_CHECK(limit(plan, use, branch));
    return plan.lifetime == sandbox::Lifetime::kept ? open_for_kept(branch) : Status();
  };
  if (auto filled = fill(); !filled.ok()) {
    branch.v2.reset();
    (void)remove(branch.id);
    return std::move(filled).error();
  }
  return branch;
}

Status CgroupTree::open_kills(SandboxCgroup& branch) {
  branch.kill.reset(::openat(branch.v2.get(), "work/cgroup.kill", O_WRONLY | O_CLOEXEC));
  branch.kill_all.reset(::openat(branch.v2.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
  if (branch.kill && branch.kill_all) return {};
  return cgroup_error("open cgroup.kill (kernel 5.14 or newer is needed)");
}

Status CgroupTree::let_stay(const std::string& id, const Staying& staying) const {
  const UniqueFd branch(::openat(ours_.get(), id.c_str(), kDirectory));
  if (!branch) return cgroup_error("open " + id);
  return write_staying(branch.get(), staying);
}

Result<std::vector<CgroupTree::Branch>> CgroupTree::branches() const {
  std::vector<UniqueFd> v1_trees;
  for (const V1& hierarchy : v1_) v1_trees.emplace_back(::openat(hierarchy.ours.get(), ".", kDirectory));
  std::vector<Branch> all;
  LMSB_TRY(const auto ids, branches_of(ours_.get(), v1_trees));
  for (const std::string& id : ids) {
    Branch found{id, {}};
    const UniqueFd branch(::openat(ours_.get(), id.c_str(), kDirectory));
    if (!branch && errno != ENOENT) return cgroup_error("open " + id);
    if (branch) {
      LMSB_TRY(found.staying, read_staying(branch.get()));
    }
    all.push_back(std::move(found));
  }
  return all;
}

Result<bool> CgroupTree::is_guest(const std::string& id, pid_t pid) const {
  const UniqueFd branch(::openat(ours_.get(), id.c_str(), kDirectory));
  if (!branch && errno == ENOENT) return false;
  if (!branch) return cgroup_error("open " + id);
  return is_guest_of(branch.get(), pid);
}

void CgroupTree::sweep(Starter starter) {
  CgroupTree tree;
  if (tree.open_parents(starter).ok()) sweep_dead_instances(tree.v2_parent_.get(), tree.v1_parents_);
}

Result<std::set<pid_t>> CgroupTree::staying_guests(const std::string& name, Starter starter) {
  CgroupTree tree;
  std::set<pid_t> guests;
  LMSB_CHECK(tree.open_parents(starter));
  const UniqueFd ours(::openat(tree.v2_parent_.get(), (kPrefix + name).c_str(), kDirectory));
  if (!ours && errno == ENOENT) return guests;
  if (!ours) return cgroup_error("open " + name);
  LMSB_TRY(const auto staying, staying_in(ours.get()));
  for (const auto& [id, guest] : staying) guests.insert(guest);
  return guests;
}

Result<SandboxCgroup> CgroupTree::reopen(const std::string& id) const {
  SandboxCgroup branch;
  branch.id = id;
  branch.v2.reset(::openat(ours_.get(), id.c_str(), kDirectory));
  if (!branch.v2) return cgroup_error("open " + id);
  LMSB_CHECK(open_kills(branch));
  branch.oom_event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!branch.oom_event) return cgroup_error("eventfd");
  for (const V1& hierarchy : v1_) {
    if (hierarchy.controller != "memory" && hierarchy.controller != "pids") continue;
    const UniqueFd directory(::openat(hierarchy.ours.get(), id.c_str(), kDirectory));
    if (!directory) return cgroup_error("open " + id + " of " + hierarchy.controller);
    if (hierarchy.controller == "memory") LMSB_CHECK(watch_memory_v1(branch, directory.get()));
    if (hierarchy.controller == "pids") branch.processes_peak = open_counter(directory.get(), "pids.peak");
  }
  if (!is_hybrid()) LMSB_CHECK(open_counters_v2(branch));
  LMSB_CHECK(open_for_kept(branch));
  return branch;
}

void CgroupTree::end(const std::vector<std::string>& ids) {
  std::vector<std::string> paths;
  for (const std::string& id : ids) paths.push_back(name_ + "/" + id);
  end_all(v2_parent_.get(), v1_parents_, paths);
}

Status CgroupTree::limit(const sandbox::LaunchPlan& plan, CgroupUse use, SandboxCgroup& branch) {
  branch.oom_event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!branch.oom_event) return cgroup_error("eventfd");
  for (const V1& hierarchy : v1_) LMSB_CHECK(limit_v1(plan, use, branch, hierarchy));
  return is_hybrid() ? Status() : limit_v2(plan, branch);
}

Status CgroupTree::limit_v1(const sandbox::LaunchPlan& plan, CgroupUse use, SandboxCgroup& branch,
                            const V1& hierarchy) {
  const bool has_own_list = !devices_.empty() && plan.device_count == 0;
  if (hierarchy.controller == "devices" && !has_own_list) {  // one list for all sandboxes
    branch.join.emplace_back(::openat(hierarchy.ours.get(), "tasks", O_WRONLY | O_CLOEXEC));
    return branch.join.back() ? Status() : cgroup_error("open devices/tasks");
  }
  LMSB_TRY(const UniqueFd directory, make_and_open(hierarchy.ours.get(), branch.id));
  if (hierarchy.controller == "devices") {
    LMSB_CHECK(write_devices(directory.get(), "devices.deny", devices_));
  } else if (hierarchy.controller == "memory") {
    LMSB_CHECK(limit_memory_v1(directory.get(), plan.memory_bytes, use));
    LMSB_CHECK(watch_memory_v1(branch, directory.get()));
  } else if (hierarchy.controller == "pids") {
    LMSB_CHECK(limit_processes(directory.get(), plan.processes));
    branch.processes_peak = open_counter(directory.get(), "pids.peak");  // 6.11
  } else {
    LMSB_CHECK(limit_cpu_v1(directory.get(), plan.cpu_millis));
  }
  branch.join.emplace_back(::openat(directory.get(), "tasks", O_WRONLY | O_CLOEXEC));
  return branch.join.back() ? Status() : cgroup_error("open tasks of " + hierarchy.controller);
}

Status CgroupTree::watch_memory_v1(SandboxCgroup& branch, int directory) {
  branch.memory_peak.reset(::openat(directory, "memory.max_usage_in_bytes", O_RDONLY | O_CLOEXEC));
  branch.memory_events.reset(::openat(directory, "memory.oom_control", O_RDONLY | O_CLOEXEC));
  if (!branch.memory_peak || !branch.memory_events) return cgroup_error("open the memory counters");
  branch.oom_notice.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!branch.oom_notice) return cgroup_error("eventfd");
  return os::write_text_at(directory, "cgroup.event_control",
                           std::to_string(branch.oom_notice.get()) + " " + std::to_string(branch.memory_events.get()));
}

// By the peak, not by memory.failcnt, which stays 0 on some kernels (6.18). Pages are charged in batches: the peak can
// stay below the limit by one.
bool CgroupTree::is_at_its_limit(const std::string& id) const {
  constexpr std::uint64_t kBatch = 1U << 20U;
  for (const V1& hierarchy : v1_) {
    if (hierarchy.controller != "memory") continue;
    const UniqueFd directory(::openat(hierarchy.ours.get(), id.c_str(), kDirectory));
    const auto read = [&](const char* name) {
      return std::strtoull(os::read_text_at(directory.get(), name).c_str(), nullptr, 10);
    };
    const std::uint64_t peak = std::max(read("memory.max_usage_in_bytes"), read("memory.memsw.max_usage_in_bytes"));
    return directory && peak + kBatch >= read("memory.limit_in_bytes");
  }
  return false;
}

Status CgroupTree::limit_v2(const sandbox::LaunchPlan& plan, SandboxCgroup& branch) {
  const int directory = branch.v2.get();
  if (kept_.memory) LMSB_CHECK(limit_memory_v2(directory, plan.memory_bytes));
  // A one-shot dies whole and its end is the verdict; in a kept one the guest lives on to report.
  if (kept_.memory && plan.lifetime == sandbox::Lifetime::one_shot)
    LMSB_CHECK(os::write_text_at(directory, "memory.oom.group", "1"));
  if (kept_.processes) LMSB_CHECK(limit_processes(directory, plan.processes));
  if (kept_.cpu) LMSB_CHECK(limit_cpu_v2(directory, plan.cpu_millis));
  return open_counters_v2(branch);
}

Status CgroupTree::open_counters_v2(SandboxCgroup& branch) const {
  const int directory = branch.v2.get();
  branch.memory_peak = open_counter(directory, "memory.peak");   // 5.19
  branch.processes_peak = open_counter(directory, "pids.peak");  // 6.11
  if (!kept_.memory) {
    branch.memory_events = open_counter(directory, "memory.events");  // an empty file
    return {};
  }
  branch.memory_events.reset(::openat(directory, "memory.events", O_RDONLY | O_CLOEXEC));
  return branch.memory_events ? Status() : cgroup_error("open memory.events");
}

Status CgroupTree::open_for_kept(SandboxCgroup& branch) const {
  branch.freeze.reset(::openat(branch.v2.get(), "work/cgroup.freeze", O_WRONLY | O_CLOEXEC));
  branch.state.reset(::openat(branch.v2.get(), "work/cgroup.events", O_RDONLY | O_CLOEXEC));
  branch.processor.reset(::openat(branch.v2.get(), "cpu.stat", O_RDONLY | O_CLOEXEC));
  if (!is_hybrid()) {
    branch.memory_now = open_counter(branch.v2.get(), "memory.current");
    branch.processes_now = open_counter(branch.v2.get(), "pids.current");
  }
  for (const V1& hierarchy : v1_) {
    const auto open = [&](const char* name) {
      const std::string path = branch.id + "/" + name;
      return open_counter(hierarchy.ours.get(), path.c_str());
    };
    if (hierarchy.controller == "memory") branch.memory_now = open("memory.usage_in_bytes");
    if (hierarchy.controller == "pids") branch.processes_now = open("pids.current");
  }
  if (branch.freeze && branch.state && branch.processor && branch.memory_now && branch.processes_now) return {};
  return cgroup_error("open what a kept sandbox is paused with and measured by");
}

Result<BranchDirectories> CgroupTree::directories(const std::string& id) const {
  BranchDirectories branch;
  branch.is_v1 = is_hybrid();
  const auto open = [&id](UniqueFd& out, int parent) -> Status {
    out.reset(::openat(parent, id.c_str(), kDirectory));
    return out ? Status() : cgroup_error("open " + id);
  };
  for (const V1& hierarchy : v1_) {
    if (hierarchy.controller == "memory") LMSB_CHECK(open(branch.memory, hierarchy.ours.get()));
    if (hierarchy.controller == "cpu") LMSB_CHECK(open(branch.cpu, hierarchy.ours.get()));
    if (hierarchy.controller == "pids") LMSB_CHECK(open(branch.processes, hierarchy.ours.get()));
  }
  if (is_hybrid()) return branch;
  for (UniqueFd* directory : {&branch.memory, &branch.cpu, &branch.processes})
    LMSB_CHECK(open(*directory, ours_.get()));
  return branch;
}

bool CgroupTree::remove(const std::string& id) {
  bool gone = remove_tree(ours_.get(), id);
  for (const V1& hierarchy : v1_)
    if (hierarchy.controller != "devices" || !devices_.empty()) gone = remove_tree(hierarchy.ours.get(), id) && gone;
  return gone;
}

void CgroupTree::close() {
  const auto all = branches();
  if (!all.ok()) return;  // the next start looks again
  if (std::any_of(all->begin(), all->end(), [](const Branch& branch) { return branch.staying.has_value(); })) return;
  (void)remove_tree(v2_parent_.get(), name_);
  for (const UniqueFd& parent : v1_parents_) (void)remove_tree(parent.get(), name_);
}

}  // namespace lmsb::launcher
