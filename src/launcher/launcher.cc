#include "launcher/launcher.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "launcher/epoll_tag.h"
#include "launcher/helper_process.h"
#include "launcher/power.h"
#include "os/files.h"
#include "os/memfd.h"
#include "os/message_socket.h"
#include "os/sys.h"
#include "sandbox/launcher_request.h"
#include "sandbox/seccomp_table.h"

namespace lmsb::launcher {
namespace {

using guest_protocol::Disk;
using guest_protocol::RootKind;
using guest_protocol::Setup;
using sandbox::LauncherStep;
using sandbox::SandboxFd;

constexpr Bytes kAnyDisk = Bytes::MiB(1);  // a change says nothing of it
constexpr int kChannelBuffer = 212992;     // doubled by the kernel

std::string one_range(std::uint32_t inside, std::uint32_t outside, std::uint32_t count) {
  return std::to_string(inside) + " " + std::to_string(outside) + " " + std::to_string(count) + "\n";
}

Result<UniqueFd> make_filter(guest_protocol::Profile profile, sandbox::SetIdFiles set_id_files) {
  LMSB_TRY(const auto program, compile_seccomp(sandbox::seccomp_tables(profile, set_id_files)));
  const std::string_view bytes(reinterpret_cast<const char*>(program.data()), program.size() * sizeof(program[0]));
  return os::make_sealed_memfd("lm-sandbox-filter", bytes);
}

// What is not to be leased.
Result<std::vector<IdClaim>> claims_of(const Policy& policy) {
  if (policy.starter == Starter::user) {  // whose they are was looked at before they were mapped
    const std::uint32_t end = kFirstBase + policy.own_ranges * kIdRange;
    return std::vector<IdClaim>{{end, ~std::uint32_t{0} - end, "not mapped"}};
  }
  auto taken = sandbox::read_id_claims();
  LMSB_CHECK(sandbox::require_unclaimed(taken, kImageRangeBase, "images"));
  LMSB_CHECK(sandbox::require_unclaimed(taken, kDaemonId, "the daemon"));
  return taken;
}

// The pool begins at a random place, so that daemons seldom ask for the same ranges, and none asks at once for those of
// one that has just died.
Result<IdPool> open_ids(const Policy& policy) {
  LMSB_TRY(auto taken, claims_of(policy));
  LMSB_TRY(UniqueFd locks, open_id_locks(policy.id_locks));
  std::uint32_t random = 0;
  if (::getrandom(&random, sizeof random, 0) < 0) return Error::from_errno(errno, "getrandom");
  const std::uint32_t all = (kLastBase - kFirstBase) / kIdRange + 1;
  const std::uint32_t ranges = policy.starter == Starter::root ? all : std::max(policy.own_ranges, 1U);
  return IdPool(std::move(taken), std::move(locks), kFirstBase + random % ranges * kIdRange);
}

// Descriptors for the setup message, each named by its place.
class FdList {
 public:
  std::int32_t add(UniqueFd fd) {
    owned_.push_back(std::move(fd));
    return borrow(owned_.back().get());
  }
  std::int32_t borrow(int fd) {
    numbers_.push_back(fd);
    return static_cast<std::int32_t>(numbers_.size() - 1);
  }
  const std::vector<int>& numbers() const { return numbers_; }

 private:
  std::vector<UniqueFd> owned_;
  std::vector<int> numbers_;
};

void add_mount(Setup& setup, std::int32_t fd, const char* target, bool make_target, bool read_only) {
  guest_protocol::SetupMount& mount = setup.mounts[setup.mount_count++];
  mount.fd = fd;
  mount.make_target = make_target ? 1 : 0;
  mount.read_only = read_only ? 1 : 0;
  std::strncpy(mount.target.data(), target, mount.target.size() - 1);
}

// Returns its /dev.
Result<UniqueFd> add_devices(Setup& setup, FdList& fds, const DeviceTree& devices, const sandbox::LaunchPlan& plan) {
  LMSB_TRY(DeviceTree::Parts parts, devices.parts_for(plan));
  setup.device_files_fd = fds.add(std::move(parts.files));
  setup.device_records_fd = fds.add(std::move(parts.records));
  return std::move(parts.dev);
}

}  // namespace

Result<std::unique_ptr<Launcher>> Launcher::create(const Policy& policy, UniqueFd guest_program, UniqueFd daemon) {
  std::unique_ptr<Launcher> launcher(new Launcher());
  launcher->policy_ = policy;
  launcher->guest_program_ = std::move(guest_program);
  launcher->daemon_ = std::move(daemon);
  (void)refuse_descriptors(launcher->daemon_.get());  // where the kernel can: see there
  launcher->cpu_count_ = static_cast<std::uint32_t>(std::max(1, ::get_nprocs()));
  LMSB_TRY(launcher->policy_.caps, resolve(policy.caps));
  LMSB_CHECK(launcher->make_filters());
  LMSB_TRY(launcher->ids_, open_ids(policy));
  if (!policy.mounts_socket.empty()) {
    LMSB_TRY(launcher->mounts_, MountDesk::open(policy.mounts_socket, policy.daemon_uid, policy.starter));
  }
  LMSB_TRY(launcher->cgroups_, CgroupTree::open(policy.cgroup_name, policy.all, policy.starter, policy.devices.nodes));
  LMSB_CHECK(launcher->open_store());
  LMSB_CHECK(launcher->open_meetings());
  LMSB_CHECK(launcher->find_left());
  if (!policy.devices.is_empty()) {
    LMSB_TRY(launcher->devices_, DeviceTree::make(launcher->policy_.devices, policy.scratch));
  }
  const UniqueFd none;
  LMSB_TRY(launcher->tree_, PrivateTree::enter(policy.scratch, policy.image_root, launcher->cgroups_->v2_mount(),
                                               launcher->store_ ? launcher->store_->mount() : none, policy.starter));
  launcher->epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!launcher->epoll_) return Error::from_errno(errno, "epoll");
  launcher->resets_oom_score_ = os::read_text("/proc/self/oom_score_adj").starts_with('-');
  LMSB_CHECK(give_up_launcher_power());
  return launcher;
}

Status Launcher::make_filters() {
  using guest_protocol::Profile;
  using sandbox::SetIdFiles;
  LMSB_TRY(filter_, make_filter(Profile::user, SetIdFiles::refused));
  LMSB_TRY(root_filter_, make_filter(Profile::root, SetIdFiles::refused));
  LMSB_TRY(set_id_filter_, make_filter(Profile::root, SetIdFiles::allowed));
  return {};
}

int Launcher::filter_of(const sandbox::LaunchPlan& plan) const {
  if (plan.profile == guest_protocol::Profile::user) return filter_.get();
  return sandbox::set_id_files(plan) == sandbox::SetIdFiles::allowed ? set_id_filter_.get() : root_filter_.get();
}

Launcher::~Launcher() {
  if (!cgroups_) return;
  end_all();
  cgroups_->close();
}

void Launcher::run(int stop) {
  const auto watch = [this](int fd, Source source) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag(source, 0);
    return fd < 0 || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  };
  if (!watch(daemon_.get(), Source::daemon) || !watch(stop, Source::stop)) return;
  if (mounts_ && !watch(mounts_->fd(), Source::desk)) return;
  sweep();
  while (daemon_) wait(-1);
  end_all();
}

void Launcher::wait(int timeout_ms) {
  std::array<epoll_event, 64> events{};
  const bool removals_left = !unremoved_sandboxes_.empty();
  // A cgroup can stay busy for a moment after its last process is gone, without any event that says when it is free.
  const int n =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), removals_left ? 5 : timeout_ms);
  for (int i = 0; i < n; ++i) {
    const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
    const std::uint64_t value = data & ((std::uint64_t{1} << kSourceShift) - 1);
    switch (static_cast<Source>(data >> kSourceShift)) {
      case Source::daemon: serve_daemon(); break;
      case Source::stop: daemon_.reset(); break;
      case Source::guest: handle_exit(value); break;
      case Source::memory: handle_oom(value); break;
      case Source::change: handle_changed(value); break;
      case Source::desk: mounts_->serve(); break;
      case Source::sweeper: sweep(); break;
      case Source::job: handle_job(value); break;
    }
  }
  if (removals_left) retry_removals();
}

void Launcher::serve_daemon() {
  // One request an event, so that ended guests are not starved by a stream of launches.
  alignas(sandbox::LaunchRequest) std::array<char, sizeof(sandbox::LaunchRequest)> buffer{};
  const ssize_t size = receive_without_descriptors(daemon_.get(), buffer.data(), buffer.size());
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EMSGSIZE)) return daemon_.reset();
  const auto request = sandbox::parse_launcher_request(buffer.data(), size);
  if (const auto* launch = std::get_if<sandbox::LaunchRequest>(&request)) {
    handle_launch(*launch);
  } else if (const auto* destroy = std::get_if<sandbox::DestroyRequest>(&request)) {
    handle_destroy(*destroy);
  } else if (const auto* limit = std::get_if<sandbox::LimitRequest>(&request)) {
    handle_limit(*limit);
  } else if (const auto* disk = std::get_if<sandbox::DiskRequest>(&request)) {
    handle_disk(*disk);
  } else if (const auto* copy = std::get_if<sandbox::CopyRequest>(&request)) {
    handle_copy(*copy);
  } else if (const auto* volume = std::get_if<sandbox::VolumeRequest>(&request)) {
    handle_volume(*volume);
  } else if (const auto* archive = std::get_if<sandbox::ArchiveRequest>(&request)) {
    handle_archive(*archive);
  } else if (const auto* gate = std::get_if<sandbox::GateRequest>(&request)) {
    handle_gate(*gate);
  } else {
    answer({std::get<sandbox::UnknownRequest>(request).request, LauncherStep::validate, EINVAL, 0, 0});
  }
}

void Launcher::answer(const sandbox::LauncherAnswer& value, const int* fds, std::size_t count) {
  if (!daemon_) return;
  const iovec part{const_cast<sandbox::LauncherAnswer*>(&value), sizeof value};  // NOLINT: C interface
  if (!send_message(daemon_.get(), &part, 1, fds, count) && errno != EAGAIN) daemon_.reset();
}

void Launcher::handle_launch(const sandbox::LaunchRequest& request) {
  Refusal refusal{LauncherStep::none, 0};
  auto launched = launch(request.plan, refusal);
  if (!launched) return answer({request.header.request, refusal.step, refusal.error, 0, 0});
  answer_launch(request.header.request, *launched);
}

void Launcher::answer_launch(std::uint32_t request, const Launched& launched) {
  std::array<int, static_cast<std::size_t>(SandboxFd::count)> fds{};
  for (std::size_t i = 0; i < fds.size(); ++i) fds[i] = launched.fds[i].get();
  sandbox::LauncherAnswer launch{request, LauncherStep::none, 0, launched.id_base, launched.serial};
  launch.has_disk = launched.has_disk ? 1 : 0;
  launch.can_stay = launched.can_stay ? 1 : 0;
  launch.has_device_list = cgroups_->has_device_list() ? 1 : 0;
  launch.has_own_nodes = tree_->has_own_nodes() ? 1 : 0;
  launch.has_socket_limit = cgroups_->limits_sockets() ? 1 : 0;
  launch.has_memory_limit = cgroups_->kept().memory ? 1 : 0;
  launch.has_cpu_limit = cgroups_->kept().cpu ? 1 : 0;
  launch.has_process_limit = cgroups_->kept().processes ? 1 : 0;
  launch.has_own_ids = launched.id_base != kImageRangeBase ? 1 : 0;
  const auto is_kept = static_cast<bool>(launched.fds.back());
  answer(launch, fds.data(), is_kept ? fds.size() : sandbox::kOneShotFds);
}

void Launcher::handle_destroy(const sandbox::DestroyRequest& request) {
  if (request.keeps_disk > 1) return refuse(request.header.request, LauncherStep::validate, EINVAL);
  const auto found = sandboxes_.find(request.serial);
  if (found == sandboxes_.end())  // it ended by itself and is gone: that is what was asked for
    return answer({request.header.request, LauncherStep::none, 0, 0, request.serial});
  found->second.destroy_requests.push_back(request.header.request);
  found->second.keeps_disk = request.keeps_disk == 1;
  kill(request.serial);
}

void Launcher::handle_limit(const sandbox::LimitRequest& request) {
  const auto found = sandboxes_.find(request.serial);
  if (found == sandboxes_.end() || found->second.reaped || found->second.released)
    return answer({request.header.request, LauncherStep::not_found, ENOENT, 0, request.serial});
  handle_changed(request.serial);  // of one that could not be watched
  const Status begun = begin_change(request);
  if (begun.ok()) return;
  const int error = begun.error().sys_errno() == 0 ? EIO : begun.error().sys_errno();
  answer({request.header.request, error == EINVAL ? LauncherStep::validate : LauncherStep::limits, error, 0,
          request.serial});
}

Status Launcher::begin_change(const sandbox::LimitRequest& request) {
  Sandbox& sandbox = sandboxes_.at(request.serial);
  if (!cgroups_->kept().all()) return Error::from_errno(EOPNOTSUPP, "change limits that the kernel does not keep");
  LMSB_TRY(const BranchDirectories branch, cgroups_->directories(sandbox.id));
  // Of memory it may keep what it has: the policy may be a later one, and nothing is to be killed for it.
  LMSB_TRY(const BranchLimits now, limits_now(branch));
  const BranchLimits to{std::min(request.memory_bytes, std::max(policy_.caps.memory_bytes, now.memory_bytes)),
                        std::min(request.cpu_millis, policy_.caps.cpu_millis),
                        std::min(request.processes, sandbox.processes)};
  const sandbox::Limits limits{Bytes(to.memory_bytes), to.cpu_millis, to.processes, kAnyDisk};
  if (!sandbox.is_kept || !sandbox::check_bounds(limits).ok()) return Error::from_errno(EINVAL, "check the limits");
  if (sandbox.change || changes_ >= sandbox::kMaxLimitChanges) return Error::from_errno(EAGAIN, "change limits");
  if (has_limits(branch, to))
    return answer({request.header.request, LauncherStep::none, 0, 0, to.memory_bytes}), Status();
  LMSB_TRY(GuestProcess changer, start_limit_changer(branch, to));
  sandbox.change = LimitChange{request.header.request, to.memory_bytes, false, std::move(changer)};
  ++changes_;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag(Source::change, request.serial);
  const int pidfd = sandbox.change->changer.pidfd.get();
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, pidfd, &event) == 0) return {};
  const Error error = Error::from_errno(errno, "watch what changes limits");
  sandbox.change->is_answered = true;
  (void)sys::pidfd_send_signal(pidfd, SIGKILL);  // it is reaped by the next change, or at the sandbox's end
  return error;
}

void Launcher::handle_changed(std::uint64_t serial) {
  const auto found = sandboxes_.find(serial);
  if (found == sandboxes_.end() || !found->second.change) return;
  Sandbox& sandbox = found->second;
  const std::optional<int> ended = reap(sandbox.change->changer);
  if (!ended) return;
  const LimitChange change = *std::exchange(sandbox.change, std::nullopt);
  --changes_;
  const int error = sandbox.released ? ENOENT : *ended;
  const LauncherStep step = sandbox.released ? LauncherStep::not_found : LauncherStep::limits;
  const std::uint64_t told = error == 0 ? change.memory_bytes : serial;
  if (!change.is_answered) answer({change.request, error == 0 ? LauncherStep::none : step, error, 0, told});
  if (sandbox.reaped && (sandbox.released || !daemon_)) give_back(serial);
}

// What was asked, if it makes sense, cut down to what is allowed.
Result<sandbox::LaunchPlan> Launcher::check_policy(const sandbox::LaunchPlan& asked) const {
  LMSB_CHECK(sandbox::validate(asked));
  if (!mounts_ && sandbox::has_directories(asked)) return Error(ErrorCode::permission_denied, "mounts are off");
  const bool is_root = asked.profile == guest_protocol::Profile::root;
  if (is_root && !policy_.caps.allows_root) return Error(ErrorCode::permission_denied, "root is off");
  // Its commands would be who the guests of the others are.
  if (is_root && shares_ids(asked.root)) return Error(ErrorCode::permission_denied, "root would share its ids");
  if (asked.device_count > 0 && !devices_) return Error(ErrorCode::permission_denied, "there are no devices");
  if (asked.device_count > 0) LMSB_CHECK(devices_->check(asked));
  const sandbox::LaunchPlan plan = within(policy_.caps, asked);
  LMSB_CHECK(sandbox::validate(plan));
  return plan;
}

std::optional<Launcher::Launched> Launcher::launch(const sandbox::LaunchPlan& asked, Refusal& refusal) {
  const auto refuse = [&](LauncherStep step, int error) {
    refusal = {step, error == 0 ? EIO : error};
    return std::nullopt;
  };
  const auto allowed = check_policy(asked);
  if (!allowed.ok()) return refuse(LauncherStep::validate, EINVAL);
  sandbox::LaunchPlan plan = *allowed;
  if (sandboxes_.size() >= policy_.max_sandboxes) return refuse(LauncherStep::lease, EAGAIN);
  if (live_ids_.contains(plan.id.data())) return refuse(LauncherStep::validate, EEXIST);
  const auto base = lease(plan.root);
  if (!base) return refuse(LauncherStep::lease, EAGAIN);
  const std::uint64_t serial = next_serial_++;
  Sandbox& sandbox = sandboxes_[serial];
  sandbox.id = plan.id.data();
  live_ids_[sandbox.id] = serial;
  sandbox.id_base = *base;
  sandbox.is_kept = plan.lifetime == sandbox::Lifetime::kept;
  sandbox.processes = plan.processes;
  if (const Status disk = provide_disk(plan, sandbox); !disk.ok()) {
    const int error = disk.error().sys_errno();
    kill(serial);
    handle_exit(serial);
    return refuse(LauncherStep::disk, error);
  }

  UniqueFd guest_end;
  UniqueFd daemon_end;
  LauncherStep step = LauncherStep::cgroups;
  auto cgroup = cgroups_->create(plan, *base + guest_protocol::guest_id(plan.profile));
  Status built = cgroup.ok() ? Status() : Status(Error(cgroup.error()));
  if (built.ok() && !message_socket_pair(daemon_end, guest_end)) built = Error::from_errno(errno, "socketpair");
  if (built.ok()) {
    for (const UniqueFd* end : {&daemon_end, &guest_end}) widen(end->get());
    step = LauncherStep::clone;
    const std::uint32_t owner = owner_of(sandbox, plan.profile);
    auto guest = spawn_guest(guest_program_.get(), guest_end.get(), cgroup->v2.get(), cgroup->join, owner);
    built = guest.ok() ? Status() : Status(Error(guest.error()));
    if (guest.ok()) {
      sandbox.guest = *std::move(guest);
      built = watch(sandbox, serial);
    }
  }
  if (built.ok()) {
    sandbox.oom_notice = std::move(cgroup->oom_notice);
    sandbox.oom_event.reset(::fcntl(cgroup->oom_event.get(), F_DUPFD_CLOEXEC, 3));
    built = watch_memory(sandbox, serial);
    if (plan.device_count == 0) make_meeting(sandbox);  // a later launcher may have another table of devices
    if (built.ok()) built = build(plan, sandbox, daemon_end.get(), step);
    sandbox.listener.reset();
    if (built.ok() && plan.disk == Disk::existing) built = let_stay(sandbox);
  }
  if (!built.ok()) {
    const int error = built.error().sys_errno();
    sandbox.keeps_disk = plan.disk == Disk::existing;
    if (cgroup.ok()) sandbox.kill_all = std::move(cgroup->kill_all);
    kill(serial);
    if (sandbox.guest.pid < 0) handle_exit(serial);
    return refuse(step, error);
  }
  sandbox.kill_all = std::move(cgroup->kill_all);
  return launched_of(sandbox, serial, *std::move(cgroup), std::move(daemon_end));
}

// One start request of the largest size fits.
void Launcher::widen(int channel) {
  (void)::setsockopt(channel, SOL_SOCKET, SO_SNDBUF, &kChannelBuffer, sizeof kChannelBuffer);
}

Launcher::Launched Launcher::launched_of(const Sandbox& sandbox, std::uint64_t serial, SandboxCgroup branch,
                                         UniqueFd channel) const {
  Launched launched{serial, sandbox.id_base, sandbox.has_disk, sandbox.can_stay, {}};
  const auto slot = [&launched](SandboxFd which) -> UniqueFd& { return launched.fds[static_cast<std::size_t>(which)]; };
  slot(SandboxFd::channel) = std::move(channel);
  slot(SandboxFd::kill) = std::move(branch.kill);
  slot(SandboxFd::memory_peak) = std::move(branch.memory_peak);
  slot(SandboxFd::memory_events) = std::move(branch.memory_events);
  slot(SandboxFd::processes_peak) = std::move(branch.processes_peak);
  slot(SandboxFd::oom_event) = std::move(branch.oom_event);
  slot(SandboxFd::freeze) = std::move(branch.freeze);
  slot(SandboxFd::state) = std::move(branch.state);
  slot(SandboxFd::memory_now) = std::move(branch.memory_now);
  slot(SandboxFd::processes_now) = std::move(branch.processes_now);
  slot(SandboxFd::processor) = std::move(branch.processor);
  return launched;
}

// At once when there is a guest: one that nobody watches is never reaped.
Status Launcher::watch(const Sandbox& sandbox, std::uint64_t serial) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag(Source::guest, serial);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, sandbox.guest.pidfd.get(), &event) == 0) return {};
  return Error::from_errno(errno, "watch the guest");
}

Status Launcher::watch_memory(const Sandbox& sandbox, std::uint64_t serial) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag(Source::memory, serial);
  if (!sandbox.oom_notice || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, sandbox.oom_notice.get(), &event) == 0) return {};
  return Error::from_errno(errno, "watch the guest's memory");
}

Status Launcher::build(const sandbox::LaunchPlan& plan, Sandbox& sandbox, int channel, LauncherStep& step) {
  step = LauncherStep::id_maps;
  LMSB_CHECK(map_ids(sandbox));
  step = LauncherStep::mounts;
  return hand_over(plan, sandbox, channel);
}

Status Launcher::map_ids(const Sandbox& sandbox) const {
  const std::string process = "/proc/" + std::to_string(sandbox.guest.pid);
  if (resets_oom_score_) LMSB_CHECK(os::write_text(process + "/oom_score_adj", "0"));
  const bool is_shared = sandbox.id_base == kImageRangeBase;
  const std::string map = one_range(0, sandbox.id_base, is_shared ? policy_.ids_of_sandbox : kIdRange);
  return write_id_maps(sandbox.guest.pid, map, map);
}

Status Launcher::hand_over(const sandbox::LaunchPlan& plan, Sandbox& sandbox, int channel) {
  Setup setup;
  FdList fds;
  setup.profile = plan.profile;
  setup.root = plan.root;
  std::strncpy(setup.hostname.data(), plan.id.data(), setup.hostname.size() - 1);
  setup.root_bytes = plan.root_bytes;
  setup.root_inodes = plan.root_inodes;
  setup.processes = plan.processes;
  setup.has_way_out = plan.has_way_out;
  setup.keep_standby = plan.lifetime == sandbox::Lifetime::kept ? 1 : 0;
  setup.cpu_count = std::clamp((plan.cpu_millis + 999) / 1000, 1U, cpu_count_);
  const UniqueFd userns = std::move(sandbox.guest.user_namespace);
  LMSB_TRY(UniqueFd dev, plan.device_count == 0 ? tree_->clone_dev() : add_devices(setup, fds, *devices_, plan));
  const bool is_host = plan.root == RootKind::host_tree;
  int shared_ids = userns.get();
  if (is_host || plan.profile == guest_protocol::Profile::root) {
    // Of what is the machine's or all sandboxes', root's files are the guest's; those that users of the machine have in
    // its /usr are nobody's. No command of root's owns any: it would read past modes, and hold others up by leases.
    const std::uint32_t guest = sandbox.id_base + guest_protocol::guest_id(plan.profile);
    LMSB_TRY(shared_ids, mapping_of(shared_userns_, {0, guest, 1}));
  }
  LMSB_TRY(UniqueFd shared, is_host ? tree_->clone_host(shared_ids) : tree_->clone_private(shared_ids));
  LMSB_TRY(UniqueFd own_cgroup, tree_->clone_cgroup(cgroups_->v2_path() + "/" + sandbox.id));
  if (plan.profile == guest_protocol::Profile::root) {
    LMSB_TRY(UniqueFd sudo, tree_->clone_sudo(guest_program_.get(), shared_ids));
    setup.sudo_fd = fds.add(std::move(sudo));
  }
  setup.dev_fd = fds.add(std::move(dev));
  setup.private_fd = fds.add(std::move(shared));
  setup.cgroup_fd = fds.add(std::move(own_cgroup));
  setup.filter_fd = fds.borrow(filter_of(plan));
  if (sandbox.disk_lock) setup.disk_lock_fd = fds.borrow(sandbox.disk_lock.get());
  if (sandbox.listener) setup.listener_fd = fds.borrow(sandbox.listener.get());
  if (is_host) {
    LMSB_TRY(UniqueFd usr, tree_->clone_usr(shared_ids));
    add_mount(setup, fds.add(std::move(usr)), "usr", false, true);
  }
  setup.disk = plan.disk;
  setup.shm_bytes = plan.shm_bytes;
  if (plan.disk != Disk::none) {
    LMSB_TRY(const int mapping, mapping_of(image_userns_, {kImageRangeBase, sandbox.id_base, kIdRange}));
    LMSB_TRY(UniqueFd disk, tree_->clone_disk(store_->path_of(sandbox.id), mapping));
    setup.disk_fd = fds.add(std::move(disk));
    if (plan.root == RootKind::mounted) {
      LMSB_TRY(UniqueFd lower, tree_->clone_image(plan.image.data(), mapping));
      setup.lower_fd = fds.add(std::move(lower));
    }
  } else if (plan.root == RootKind::mounted) {
    LMSB_TRY(const int mapping, mapping_of_image(sandbox.id_base));
    LMSB_TRY(UniqueFd root, tree_->overlay(plan, mapping, sandbox.id_base));
    setup.root_fd = fds.add(std::move(root));
  }
  for (std::uint32_t i = 0; i < plan.mount_count; ++i) {
    const sandbox::PlanMount& wanted = plan.mounts[i];
    LMSB_TRY(UniqueFd tree, source_of(wanted, sandbox.id_base, guest_protocol::command_id(plan.profile)));
    add_mount(setup, fds.add(std::move(tree)), wanted.target.data(), true, wanted.read_only != 0);
  }
  const iovec part{&setup, sizeof setup};
  if (!send_message(channel, &part, 1, fds.numbers().data(), fds.numbers().size()))
    return Error::from_errno(errno, "send the setup");
  return {};
}

// Files of images can be shown with other owners by the machine's root alone: sandboxes that a user makes of them have
// the ids that the files have, and so has any where there are too few ranges for each to have its own.
bool Launcher::shares_ids(RootKind root) const {
  return policy_.starter == Starter::user && (root == RootKind::mounted || policy_.own_ranges == 0);
}

std::optional<std::uint32_t> Launcher::lease(RootKind root) {
  return shares_ids(root) ? kImageRangeBase : ids_->lease();
}

void Launcher::give_ids_back(std::uint32_t base) {
  if (base != kImageRangeBase) ids_->release(base);
}

std::uint32_t Launcher::owner_of(const Sandbox& sandbox, guest_protocol::Profile profile) const {
  if (policy_.starter == Starter::user) return ::geteuid();
  return sandbox.id_base + guest_protocol::guest_id(profile);
}

Result<int> Launcher::mapping_of_image(std::uint32_t id_base) {
  if (policy_.starter == Starter::user) return -1;
  return mapping_of(image_userns_, {kImageRangeBase, id_base, kIdRange});
}

// A detached tree of a volume, or of what was handed over for a token.
Result<UniqueFd> Launcher::source_of(const sandbox::PlanMount& mount, std::uint32_t id_base, std::uint32_t user) {
  const bool read_only = mount.read_only != 0;
  if (mount.volume[0] != '\0') {
    if (!store_ || !store_->has(mount.volume.data())) return Error::from_errno(ENODEV, "no such volume");
    LMSB_TRY(const int mapping, mapping_of(image_userns_, {kImageRangeBase, id_base, kIdRange}));
    const auto access = read_only ? PrivateTree::Access::read_only : PrivateTree::Access::read_write;
    return tree_->clone_disk(store_->path_of(mount.volume.data()), mapping, access);
  }
  const auto handed = mounts_->take(mount.token);
  if (!handed) return Error::from_errno(ENOKEY, "no directory was handed over for this token");
  // A user's files cannot be shown as another's: what a sandbox wrote there would be nobody's of that user's.
  const bool is_of_user = policy_.starter == Starter::user;
  if (is_of_user && !read_only) return Error::from_errno(EROFS, "a user's directories can be shown, not written to");
  if (is_of_user) return tree_->clone_passed(handed->source.get(), read_only, -1);
  LMSB_TRY(const UniqueFd mapping,
           make_user_namespace(one_range(handed->uid, id_base + user, 1), one_range(handed->gid, id_base + user, 1)));
  return tree_->clone_passed(handed->source.get(), read_only, mapping.get());
}

Result<int> Launcher::mapping_of(std::map<std::uint32_t, UniqueFd>& made, const IdMap& map) {
  UniqueFd& cached = made[map.outside];
  if (!cached) {
    const std::string line = one_range(map.inside, map.outside, map.count);
    LMSB_TRY(cached, make_user_namespace(line, line));
  }
  return cached.get();
}

void Launcher::kill(std::uint64_t serial) {
  const auto found = sandboxes_.find(serial);
  if (found == sandboxes_.end()) return;
  found->second.released = true;
  if (found->second.change) (void)sys::pidfd_send_signal(found->second.change->changer.pidfd.get(), SIGKILL);
  if (found->second.reaped) return give_back(serial);
  if (found->second.kill_all) (void)!::write(found->second.kill_all.get(), "1", 1);
  if (found->second.guest.pidfd) (void)sys::pidfd_send_signal(found->second.guest.pidfd.get(), SIGKILL);
}

// PID 1 ends only after the kernel has ended and reaped everything else in its pid namespace.
void Launcher::handle_exit(std::uint64_t serial) {
  const auto found = sandboxes_.find(serial);
  if (found == sandboxes_.end()) return;
  Sandbox& sandbox = found->second;
  if (sandbox.guest.pidfd && !reap(sandbox.guest)) return;
  sandbox.reaped = true;
  // The daemon still reads why its sandbox ended; without one there is nobody to wait for.
  if (sandbox.released || !daemon_) give_back(serial);
}

// On cgroup v1 the notice also comes to all sandboxes when all of them together are out of memory (the kernel tells the
// whole tree): then it kills one process of one of them, and the others go on.
void Launcher::handle_oom(std::uint64_t serial) {
  const auto found = sandboxes_.find(serial);
  if (found == sandboxes_.end()) return;
  std::uint64_t count = 0;
  (void)!::read(found->second.oom_notice.get(), &count, sizeof count);  // until the next one
  count = 1;
  if (cgroups_->is_at_its_limit(found->second.id)) (void)!::write(found->second.oom_event.get(), &count, sizeof count);
}

void Launcher::give_back(std::uint64_t serial) {
  const auto found = sandboxes_.find(serial);
  Sandbox& sandbox = found->second;
  unremoved_sandboxes_.insert(serial);
  if (sandbox.change) return;  // handle_changed()
  sandbox.kill_all.reset();
  if (!cgroups_->remove(sandbox.id)) return;  // retry_removals()
  // To close it is not enough: a copy of this process that has not run yet still has it (keep_only() in spawn.cc).
  if (sandbox.disk_lock) (void)::flock(sandbox.disk_lock.get(), LOCK_UN);
  const std::string& disk = sandbox.archived.empty() ? sandbox.id : sandbox.archived;
  if (sandbox.has_disk && !sandbox.keeps_disk) (void)store_->remove(disk);  // else it is found by the next start
  if (sandbox.has_disk && !sandbox.keeps_disk) sweep();
  if (sandbox.refusal) refuse(sandbox.refusal->first, LauncherStep::setup, sandbox.refusal->second);
  for (const std::uint32_t request : sandbox.destroy_requests) answer({request, LauncherStep::none, 0, 0, serial});
  if (meetings_ && sandbox.is_kept) (void)::unlinkat(meetings_.get(), sandbox.id.c_str(), 0);
  give_ids_back(sandbox.id_base);
  live_ids_.erase(sandbox.id);
  if (sandbox.has_disk) live_ids_.erase(disk);
  unremoved_sandboxes_.erase(serial);
  sandboxes_.erase(found);
  remove_unremoved();
}

void Launcher::retry_removals() {
  for (const std::uint64_t serial : std::vector(unremoved_sandboxes_.begin(), unremoved_sandboxes_.end())) {
    handle_changed(serial);
    if (sandboxes_.contains(serial)) give_back(serial);
  }
}

void Launcher::end_all() {
  std::vector<std::uint64_t> all;
  for (const auto& [serial, sandbox] : sandboxes_) all.push_back(serial);
  const auto stays = [this](const Sandbox& s) { return policy_.sandboxes_stay && s.stays && !s.reaped && !s.released; };
  for (const std::uint64_t serial : all) stays(sandboxes_.at(serial)) ? leave(serial) : kill(serial);
  if (policy_.sandboxes_stay) return wait_all();
  std::vector<std::string> unwanted;
  for (const auto& [id, left] : left_) unwanted.push_back(id);
  cgroups_->end(unwanted);
  wait_all();
}

// Until what was killed is given back.
void Launcher::wait_all() {
  for (int rounds = 0; !sandboxes_.empty() && rounds < 2000; ++rounds) {
    wait(5);
    std::vector<std::uint64_t> left;
    for (const auto& [serial, sandbox] : sandboxes_) left.push_back(serial);
    for (const std::uint64_t serial : left) handle_exit(serial);
  }
}

}  // namespace lmsb::launcher
