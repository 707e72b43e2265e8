#include "launcher/staying.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <sys/xattr.h>

#include "guest_protocol/setup.h"
#include "os/files.h"

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

std::optional<Staying> read_staying(int cgroup) {
  std::array<char, 512> value{};
  const ssize_t size = ::fgetxattr(cgroup, kAttribute, value.data(), value.size());
  Stored stored;
  if (size < static_cast<ssize_t>(sizeof stored.head)) return std::nullopt;
  std::memcpy(&stored.head, value.data(), sizeof stored.head);
  if (stored.head.magic != kMagic) return std::nullopt;
  Staying staying;
  staying.pid = stored.head.pid;
  staying.id_base = stored.head.id_base;
  staying.is_ours = stored.head.protocol == guest_protocol::kVersion && size == static_cast<ssize_t>(sizeof stored);
  if (!staying.is_ours) return staying;
  std::memcpy(&stored, value.data(), sizeof stored);
  staying.processes = stored.processes;
  staying.disk_bytes = stored.disk_bytes;
  return staying;
}

bool is_guest_of(int cgroup, pid_t pid) {
  std::istringstream numbers(os::read_text_at(cgroup, "cgroup.procs"));
  for (pid_t number = 0; numbers >> number;)
    if (number == pid) return pid > 0;
  return false;
}

}  // namespace lmsb::launcher
