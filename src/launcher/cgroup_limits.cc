#include "launcher/cgroup_limits.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "os/files.h"

namespace lmsb::launcher {
namespace {

constexpr const char* kMemory = "memory.limit_in_bytes";
constexpr const char* kMemoryAndSwap = "memory.memsw.limit_in_bytes";
constexpr const char* kSockets = "memory.kmem.tcp.limit_in_bytes";
constexpr const char* kTcpMemory = "/proc/sys/net/ipv4/tcp_mem";
constexpr std::uint64_t kLeastRoom = 4U << 20U;
constexpr std::uint64_t kPage = 4096;
constexpr int kTriesBack = 20;
constexpr std::uint64_t kSocketShare = 8;

bool is_there(int directory, const char* name) { return ::faccessat(directory, name, W_OK, 0) == 0; }

// The number that a file begins with. Error with EIO: none.
Result<std::uint64_t> number_in(int directory, const char* name) {
  const std::string text = os::read_text_at(directory, name);
  std::uint64_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc()) return number;
  return Error::from_errno(EIO, std::string("cgroup: read ") + name);
}

// Takes a value back. What ends other writes (a timer) must not end this one.
Status write_back(int directory, const char* name, const std::string& text) {
  Status written;
  for (int tries = 0; tries < kTriesBack; ++tries) {
    written = os::write_text_at(directory, name, text);
    if (written.ok() || written.error().sys_errno() != EINTR) break;
  }
  return written;
}

// What the kernel cannot give back: memory of processes, files in memory, on v2 its own. Error: it does not say.
Result<std::uint64_t> used_for_good(const BranchDirectories& branch) {
  const std::string stat = os::read_text_at(branch.memory.get(), "memory.stat");
  if (stat.empty()) return Error::from_errno(EIO, "cgroup: read memory.stat");
  if (branch.is_v1) return os::number_behind(stat, "total_rss ") + os::number_behind(stat, "total_shmem ");
  const std::uint64_t kernel = os::number_behind(stat, "kernel ");
  const std::uint64_t spare = std::min(kernel, os::number_behind(stat, "slab_reclaimable "));
  return os::number_behind(stat, "anon ") + os::number_behind(stat, "shmem ") + kernel - spare;
}

Status check_room(const BranchDirectories& branch, std::uint64_t bytes) {
  LMSB_TRY(const std::uint64_t used, used_for_good(branch));
  if (used + std::max(kLeastRoom, bytes / 8) <= bytes) return {};
  return Error::from_errno(EBUSY, "cgroup: lower the memory limit");
}

// What sockets of TCP and UDP hold is no memory to v1, but a number of its own, and without a limit not even that: one
// sandbox could fill up what the whole machine has for sockets.
Status limit_sockets_v1(int directory, std::uint64_t memory_bytes, CgroupUse use = CgroupUse::programs) {
  if (!is_there(directory, kSockets)) return {};
  return os::write_text_at(directory, kSockets, std::to_string(bytes_for_sockets(memory_bytes, use)));
}

// The kernel keeps memory <= memory and swap at each step.
Status change_memory_and_swap(int directory, std::uint64_t from, std::uint64_t to) {
  const std::string limit = std::to_string(to);
  if (!is_there(directory, kMemoryAndSwap)) return os::write_text_at(directory, kMemory, limit);
  const bool raises = to > from;
  LMSB_CHECK(os::write_text_at(directory, raises ? kMemoryAndSwap : kMemory, limit));
  Status second = os::write_text_at(directory, raises ? kMemory : kMemoryAndSwap, limit);
  if (!second.ok()) (void)write_back(directory, raises ? kMemoryAndSwap : kMemory, std::to_string(from));
  return second;
}

Status change_memory_v1(int directory, std::uint64_t from, std::uint64_t to) {
  // Sockets that hold more than that at the moment keep the bound that they have: the kernel takes nothing from them.
  Status sockets = limit_sockets_v1(directory, to);
  if (!sockets.ok() && sockets.error().sys_errno() != EBUSY) return sockets;
  Status changed = change_memory_and_swap(directory, from, to);
  if (!changed.ok()) (void)limit_sockets_v1(directory, from);
  return changed;
}

// memory.max kills when it is not enough to give back what can be: memory.high has that done first, without. The kernel
// does not say how far it came, nor that a signal ended it.
Status give_back_v2(int directory, std::uint64_t bytes) {
  LMSB_CHECK(os::write_text_at(directory, "memory.high", std::to_string(bytes)));
  LMSB_TRY(const std::uint64_t used, number_in(directory, "memory.current"));
  return used <= bytes ? Status() : Error::from_errno(EBUSY, "cgroup: lower the memory limit");
}

Status change_memory_v2(int directory, std::uint64_t from, std::uint64_t to) {
  Status changed = to < from ? give_back_v2(directory, to) : Status();
  if (changed.ok()) changed = os::write_text_at(directory, "memory.max", std::to_string(to));
  (void)write_back(directory, "memory.high", "max");
  return changed;
}

// Whether a change of memory was killed in the middle: v1 has two limits that are one, v2 one that is there meanwhile.
bool is_half_done(const BranchDirectories& branch, std::uint64_t now) {
  const int directory = branch.memory.get();
  if (!branch.is_v1) return !os::read_text_at(directory, "memory.high").starts_with("max");
  const auto with_swap = number_in(directory, kMemoryAndSwap);
  return with_swap.ok() && *with_swap != now;
}

Status change_memory(const BranchDirectories& branch, std::uint64_t from, std::uint64_t to) {
  if (to < from) LMSB_CHECK(check_room(branch, to));
  const int directory = branch.memory.get();
  return branch.is_v1 ? change_memory_v1(directory, from, to) : change_memory_v2(directory, from, to);
}

// Both limits of v1 become the smaller of them, `now`.
Status make_whole(const BranchDirectories& branch, std::uint64_t now) {
  const char* const name = branch.is_v1 ? kMemoryAndSwap : "memory.high";
  return write_back(branch.memory.get(), name, branch.is_v1 ? std::to_string(now) : "max");
}

Status limit_cpu(const BranchDirectories& branch, std::uint32_t millis) {
  return branch.is_v1 ? limit_cpu_v1(branch.cpu.get(), millis) : limit_cpu_v2(branch.cpu.get(), millis);
}

}  // namespace

// The second number is where the kernel begins to be careful with everybody's connections, in pages.
std::uint64_t bytes_for_sockets(std::uint64_t memory_bytes, std::string_view tcp_mem, std::uint64_t machine_bytes,
                                CgroupUse use) {
  constexpr std::uint64_t kMachineShare = 32;  // as its kernel sets that itself, and half of it
  const std::uint64_t share = use == CgroupUse::gate ? memory_bytes : memory_bytes / kSocketShare;
  const std::size_t gap = std::min(tcp_mem.find_first_of(" \t"), tcp_mem.size());
  const std::size_t second = std::min(tcp_mem.find_first_not_of(" \t", gap), tcp_mem.size());
  std::uint64_t pages = 0;
  if (std::from_chars(tcp_mem.data() + second, tcp_mem.data() + tcp_mem.size(), pages).ec != std::errc())
    return std::min(share, machine_bytes / kMachineShare);
  return std::min(share, pages / 2 * kPage);
}

std::uint64_t bytes_for_sockets(std::uint64_t memory_bytes, CgroupUse use) {
  struct sysinfo info {};
  (void)::sysinfo(&info);  // cannot fail
  const std::uint64_t machine_bytes = std::uint64_t{info.totalram} * info.mem_unit;
  return bytes_for_sockets(memory_bytes, os::read_text(kTcpMemory), machine_bytes, use);
}

bool counts_kernel_memory(std::string_view command_line) {
  constexpr std::string_view kOption = "cgroup.memory=";
  for (std::size_t at = 0; (at = command_line.find(kOption, at)) != std::string_view::npos; ++at) {
    const std::string_view value = command_line.substr(at, command_line.find_first_of(" \n", at) - at);
    if (value.find("nosocket") != value.npos || value.find("nokmem") != value.npos) return false;
  }
  return true;
}

bool counts_kernel_memory() { return counts_kernel_memory(os::read_text("/proc/cmdline")); }

bool limits_sockets_v1(int directory) { return is_there(directory, kSockets); }

Status limit_memory_v1(int directory, std::uint64_t bytes, CgroupUse use) {
  const std::string limit = std::to_string(bytes);
  LMSB_CHECK(os::write_text_at(directory, kMemory, limit));
  LMSB_CHECK(limit_sockets_v1(directory, bytes, use));
  if (!is_there(directory, kMemoryAndSwap)) return {};
  return os::write_text_at(directory, kMemoryAndSwap, limit);
}

Status limit_memory_v2(int directory, std::uint64_t bytes) {
  LMSB_CHECK(os::write_text_at(directory, "memory.max", std::to_string(bytes)));
  if (!is_there(directory, "memory.swap.max")) return {};
  return os::write_text_at(directory, "memory.swap.max", "0");
}

Status limit_cpu_v1(int directory, std::uint32_t millis) {
  return os::write_text_at(directory, "cpu.cfs_quota_us", std::to_string(std::uint64_t{millis} * 100));
}

Status limit_cpu_v2(int directory, std::uint32_t millis) {
  return os::write_text_at(directory, "cpu.max", std::to_string(std::uint64_t{millis} * 100) + " 100000");
}

Status limit_processes(int directory, std::uint64_t count) {
  return os::write_text_at(directory, "pids.max", std::to_string(count));
}

Result<BranchLimits> limits_now(const BranchDirectories& branch) {
  BranchLimits now;
  LMSB_TRY(now.memory_bytes, number_in(branch.memory.get(), branch.is_v1 ? kMemory : "memory.max"));
  LMSB_TRY(const std::uint64_t quota, number_in(branch.cpu.get(), branch.is_v1 ? "cpu.cfs_quota_us" : "cpu.max"));
  now.cpu_millis = static_cast<std::uint32_t>(quota / 100);
  LMSB_TRY(const std::uint64_t processes, number_in(branch.processes.get(), "pids.max"));
  now.processes = static_cast<std::uint32_t>(processes);
  return now;
}

bool has_limits(const BranchDirectories& branch, const BranchLimits& limits) {
  const auto now = limits_now(branch);
  BranchLimits kept = limits;
  kept.memory_bytes = limits.memory_bytes / kPage * kPage;
  return now.ok() && *now == kept && !is_half_done(branch, now->memory_bytes);
}

// Memory last: to go back from the others needs nothing that could be refused.
Status change_limits(const BranchDirectories& branch, const BranchLimits& to) {
  LMSB_TRY(const BranchLimits from, limits_now(branch));
  const Status whole = is_half_done(branch, from.memory_bytes) ? make_whole(branch, from.memory_bytes) : Status();
  const std::uint64_t memory = to.memory_bytes / kPage * kPage;  // as the kernel keeps it
  if (to.cpu_millis != from.cpu_millis) LMSB_CHECK(limit_cpu(branch, to.cpu_millis));
  Status changed;
  if (to.processes != from.processes) changed = limit_processes(branch.processes.get(), to.processes);
  if (changed.ok())
    changed = memory == from.memory_bytes ? Status(whole) : change_memory(branch, from.memory_bytes, memory);
  if (changed.ok()) return {};
  if (to.processes != from.processes) (void)limit_processes(branch.processes.get(), from.processes);
  if (to.cpu_millis != from.cpu_millis) (void)limit_cpu(branch, from.cpu_millis);
  return changed;
}

}  // namespace lmsb::launcher
