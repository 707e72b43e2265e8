#include "control/sandbox_handle.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <sys/random.h>
#include <unistd.h>

#include "control/sandbox_network.h"
#include "io/spawn.h"
#include "io/wait_fd.h"
#include "os/files.h"

namespace lmsb::control {
namespace {

// Reads a small kernel file from its beginning; the descriptor stays open, the value is always the present one.
std::string_view read_counter(const UniqueFd& file, std::array<char, 1024>& buffer) {
  const ssize_t size = ::pread(file.get(), buffer.data(), buffer.size() - 1, 0);
  if (size <= 0) return {};
  buffer[static_cast<std::size_t>(size)] = '\0';
  return {buffer.data(), static_cast<std::size_t>(size)};
}

// Other than those that an earlier daemon has given out, as good as surely.
std::uint32_t random_number() {
  std::uint32_t number = 0;
  (void)!::getrandom(&number, sizeof number, 0);
  return number / 2;
}

Error gone() { return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost"); }

// The kernel says ENODEV of a cgroup that has been removed.
Error freeze_error(const char* what) { return errno == ENODEV ? gone() : Error::from_errno(errno, what); }

}  // namespace

SandboxHandle::Disk SandboxHandle::disk_of(const sandbox::SandboxSpec& spec) {
  return spec.disk == guest_protocol::Disk::existing ? Disk::keep : Disk::remove;
}

// cgroup v1 kills one process at a time; a one-shot dies whole, so the rest follows on the kernel's notice. In a kept
// sandbox, as on v2, the kernel's victim is all.
struct SandboxHandle::OomWatch {
  OomWatch(boost::asio::io_context& loop, UniqueFd e, int k)
      : event(std::move(e)), kill(k), watch(loop.get_executor(), event) {}

  static io::Always<void> run(std::shared_ptr<OomWatch> self) {
    const Status noticed = co_await self->watch.readable();
    if (!noticed.ok()) co_return;
    self->has_happened = true;
    if (self->kill >= 0) (void)!::write(self->kill, "1", 1);
  }

  UniqueFd event;
  int kill;  // owned by the handle; -1 once that is gone
  io::FdWatch watch;
  bool has_happened = false;  // our kill may come before the kernel's own, which is then not counted
};

SandboxHandle::SandboxHandle(boost::asio::io_context& loop, const sandbox::SandboxSpec& spec,
                             sandbox::LaunchedSandbox launched, Guest guest, Release release)
    : loop_(loop),
      id_(spec.id.str()),
      image_(spec.image),
      launched_(std::move(launched)),
      release_(std::move(release)),
      disk_(guest == Guest::held ? std::nullopt : std::optional(disk_of(spec))),
      channel_(loop, std::move(launched_.channel), guest_client::Channel::kAnswerLimit, guest),
      last_number_(guest == Guest::held ? random_number() : 0) {
  channel_.on_eviction([this](int times) {
    if (times > 0) kill_commands();  // another of them has the pipe, too
    if (on_eviction) on_eviction(times);
  });
  if (spec.lifetime != sandbox::Lifetime::one_shot) return;
  oom_watch_ = std::make_shared<OomWatch>(loop, std::move(launched_.oom_event), launched_.kill.get());
  io::spawn(loop, OomWatch::run(oom_watch_));
}

SandboxHandle::~SandboxHandle() {
  close_doors();
  if (oom_watch_) {
    oom_watch_->kill = -1;
    oom_watch_->watch.cancel();
  }
  release_(launched_.serial, disk_, std::move(room));
}

void SandboxHandle::kill_commands() { (void)!::write(launched_.kill.get(), "1", 1); }

void SandboxHandle::close_doors() {
  if (network) network->close();
  model_door.reset();
}

void SandboxHandle::drop_network() {
  if (network) network->close();
  network.reset();
}

void SandboxHandle::end() {
  is_removed_ = true;
  close_doors();
  kill_commands();
  channel_.close();
  if (state_watch_) state_watch_->cancel();
}

void SandboxHandle::leave() {
  is_removed_ = true;
  close_doors();
  disk_.reset();
  channel_.close();
  if (state_watch_) state_watch_->cancel();
}

std::optional<bool> SandboxHandle::stands_still() const {
  std::array<char, 1024> buffer{};
  const std::string_view state = read_counter(launched_.state, buffer);
  if (state.empty()) return std::nullopt;
  return os::number_behind(state, "frozen ") != 0;
}

// The file of a removed cgroup is ready at any time: neither that nor a state that never comes keeps the loop busy.
io::Task<void> SandboxHandle::pause(io::Deadline deadline) {
  if (::write(launched_.freeze.get(), "1", 1) != 1) co_return freeze_error("pause the sandbox");
  io::FdWatch& watch = state_watch();
  Status told;
  while (told.ok() && !deadline.passed()) {
    const std::optional<bool> still = stands_still();
    if (!still) co_return gone();
    if (is_removed_) break;
    if (*still) co_return Status();
    told = co_await watch.changed(deadline);
  }
  if (!is_removed_ || !disk_) (void)resume();  // one that was left goes on
  if (is_removed_) co_return gone();
  if (!told.ok() && told.error().code() != ErrorCode::deadline_exceeded) co_return told;
  co_return Error(ErrorCode::deadline_exceeded, "a process of the sandbox could not be stopped in time")
      .with_slug("pause_failed")
      .with_hint("it is in the middle of something that the kernel does not interrupt; all go on: try again later");
}

Status SandboxHandle::resume() {
  if (::write(launched_.freeze.get(), "0", 1) == 1) return {};
  return freeze_error("resume the sandbox");
}

io::FdWatch& SandboxHandle::state_watch() {
  if (!state_watch_) state_watch_.emplace(loop_.get_executor(), launched_.state);
  return *state_watch_;
}

bool SandboxHandle::is_empty() const {
  std::array<char, 1024> buffer{};
  const std::string_view state = read_counter(launched_.state, buffer);
  return state.empty() || state.find("populated 0") != std::string_view::npos;
}

// The kernel says when the last process has gone; what the guest says of them comes a moment later.
io::Task<void> SandboxHandle::wind_down(io::Deadline deadline) {
  constexpr std::chrono::seconds kMoment{2};
  wound_down_by_ = deadline;
  channel_.ask_to_end();
  io::FdWatch& watch = state_watch();
  while (!is_removed_ && !channel_.is_closed() && !is_empty()) {
    const io::Deadline until = *wound_down_by_;
    if (until.passed()) co_return Error(ErrorCode::deadline_exceeded, "processes of the sandbox still run");
    Status told = co_await watch.changed(until);
    const bool is_hurried = *wound_down_by_ < until;
    if (told.ok() || is_hurried || is_removed_) continue;
    if (told.error().code() != ErrorCode::deadline_exceeded) co_return told;
  }
  if (is_removed_) co_return gone();
  co_return co_await channel_.wait_all_ended(io::Deadline::in(kMoment));
}

void SandboxHandle::hurry(io::Deadline deadline) {
  if (!wound_down_by_ || *wound_down_by_ <= deadline) return;
  wound_down_by_ = deadline;
  if (state_watch_) state_watch_->cancel();
}

SandboxUsage SandboxHandle::usage() const {
  std::array<char, 1024> buffer{};
  SandboxUsage usage;
  usage.memory_bytes = os::number_behind(read_counter(launched_.memory_now, buffer), "");
  usage.max_memory_bytes = std::max(peak_memory_bytes(), usage.memory_bytes);
  constexpr std::uint64_t kOurs = 2;  // the guest, and the process that becomes the next command
  const std::uint64_t processes = os::number_behind(read_counter(launched_.processes_now, buffer), "");
  usage.processes = processes - std::min(processes, kOurs);
  usage.cpu_usec = os::number_behind(read_counter(launched_.processor, buffer), "usage_usec ");
  usage.oom_kills = oom_kills();
  return usage;
}

std::uint64_t SandboxHandle::oom_kills() const {
  std::array<char, 1024> buffer{};
  return os::number_behind(read_counter(launched_.memory_events, buffer), "oom_kill ");
}

bool SandboxHandle::has_oom_notice() const { return oom_watch_ && oom_watch_->has_happened; }

std::uint64_t SandboxHandle::peak_memory_bytes() const {
  std::array<char, 1024> buffer{};
  const std::string_view text = read_counter(launched_.memory_peak, buffer);
  return text.empty() ? 0 : std::strtoull(text.data(), nullptr, 10);
}

std::optional<std::uint64_t> SandboxHandle::peak_processes() const {
  std::array<char, 1024> buffer{};
  const std::string_view text = read_counter(launched_.processes_peak, buffer);
  const std::uint64_t peak = text.empty() ? 0 : std::strtoull(text.data(), nullptr, 10);
  if (peak == 0) return std::nullopt;
  return peak - 1;  // the guest
}

}  // namespace lmsb::control
