#include "launcher/staying.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sstream>
#include <sys/xattr.h>

#include "base/unique_fd.h"
#include "guest_protocol/setup.h"
#include "os/small_file.h"

namespace lmsb::launcher {
namespace {

constexpr const char* kAttribute = "trusted.lm-sandbox.stays";
constexpr std::uint32_t kMagic = 0x4C4D5354;

// What every version says in the same place.
struct Head {
  std::uint32_t magic = kMagic;
  std::uint32_t protocol = guest_protocol::kVersion;
  std::int32_t pid = -1;
  std::uint32_t id_base = 0;
};
struct Stored {
  Head head;
  std::uint32_t processes = 0;
  std::uint32_t unused = 0;
  std::uint64_t disk_bytes = 0;
};

}  // namespace

Status write_staying(int cgroup, const Staying& staying) {
  Stored stored;
  stored.head.pid = staying.pid;
  stored.head.id_base = staying.id_base;
  stored.processes = staying.processes;
  stored.disk_bytes = staying.disk_bytes;
  if (::fsetxattr(cgroup, kAttribute, &stored, sizeof stored, 0) == 0) return {};
  return Error::from_errno(errno, "write down that a sandbox stays");
}

Result<std::optional<Staying>> read_staying(int cgroup) {
  std::array<char, 512> value{};
  const ssize_t size = ::fgetxattr(cgroup, kAttribute, value.data(), value.size());
  const std::optional<Staying> none;
  // Where no attribute can be (EOPNOTSUPP) nobody has written one.
  if (size < 0 && errno != ENODATA && errno != ENOENT && errno != EOPNOTSUPP)
    return Error::from_errno(errno, "read whether a sandbox stays");
  Stored stored;
  if (size < static_cast<ssize_t>(sizeof stored.head)) return none;
  std::memcpy(&stored.head, value.data(), sizeof stored.head);
  if (stored.head.magic != kMagic) return none;
  Staying staying;
  staying.pid = stored.head.pid;
  staying.id_base = stored.head.id_base;
  staying.is_ours = stored.head.protocol == guest_protocol::kVersion && size == static_cast<ssize_t>(sizeof stored);
  if (!staying.is_ours) return std::optional(staying);
  std::memcpy(&stored, value.data(), sizeof stored);
  staying.processes = stored.processes;
  staying.disk_bytes = stored.disk_bytes;
  return std::optional(staying);
}

Result<bool> is_guest_of(int cgroup, pid_t pid) {
  constexpr const char* kProcesses = "cgroup.procs";
  const UniqueFd file(::openat(cgroup, kProcesses, O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return false;
  if (!file) return Error::from_errno(errno, std::string("open ") + kProcesses);
  auto text = os::read_to_end(file.get(), Bytes::MiB(1), kProcesses);
  if (!text.ok() && text.error().sys_errno() == ENODEV) return false;  // removed meanwhile
  if (!text.ok()) return std::move(text).error();
  std::istringstream numbers(*text);
  for (pid_t number = 0; numbers >> number;)
    if (number == pid) return pid > 0;
  return false;
}

}  // namespace lmsb::launcher
