#include "guest/disk_unpack.h"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

#include "base/unique_fd.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

using os::MemberType;

constexpr std::size_t kMaxName = 255;
constexpr std::uint64_t kPage = 4096;           // what a file system keeps of a file or does not
constexpr std::size_t kSurelyCarried = 16'000;  // octets of an attribute's value that every disk has a place for
constexpr std::string_view kTop = "disk";

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

// Of what is no fault of the archive's; everything else is: it names something that cannot be.
int reason(int error) {
  constexpr std::array kOfTheMachine = {EDQUOT, ENOSPC, EFBIG, ENOMEM, EIO, EMFILE, ENFILE, EROFS};
  for (const int one : kOfTheMachine)
    if (error == one) return error;
  return EBADMSG;
}

class DiskUnpacker {
 public:
  DiskUnpacker(int root, DiskTarReader& reader, std::uint64_t max_members, DiskProblem& problem)
      : root_(root), reader_(reader), max_members_(max_members), problem_(problem) {}

  void run() {
    DiskMember member;
    for (;;) {
      const int more = reader_.next(member);
      if (more < 0) return problem_.note(path_.text(), -more);
      if (more == 0) break;
      path_.cut(0);
      if (!path_.push(member.path)) return problem_.note(kTop, EBADMSG);
      if (reader_.members() > max_members_) return problem_.note(path_.text(), EDQUOT);
      if (const int error = take(member); error != 0) return problem_.note(path_.text(), error);
    }
    while (!open_.empty())
      if (const int error = leave(); error != 0) return problem_.note(kTop, error);
    if (::syncfs(root_) < 0) problem_.note(kTop, reason(errno));
  }

 private:
  // A directory whose content is being made. What is said of it is set when that is done.
  struct Level {
    UniqueFd fd;
    std::string path;
    DiskMember said;
  };

  int take(const DiskMember& member) {
    if (open_.empty()) {  // the first is the disk itself, which is the launcher's
      if (member.path != kTop || member.type != MemberType::directory || reader_.members() != 1) return EBADMSG;
      open_.push_back({UniqueFd(::openat(root_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), std::string(kTop), {}});
      return open_.back().fd ? 0 : reason(errno);
    }
    const std::size_t slash = member.path.rfind('/');
    if (slash == std::string_view::npos) return EBADMSG;
    const std::string_view parent = member.path.substr(0, slash);
    while (open_.back().path != parent) {
      if (open_.size() == 1) return EBADMSG;
      if (const int error = leave(); error != 0) return error;
    }
    const std::string name(member.path.substr(slash + 1));
    if (!is_name(name)) return EBADMSG;
    const bool is_part = name == "upper" || name == "root";
    if (open_.size() == 1 && (!is_part || member.type != MemberType::directory)) return EBADMSG;
    return make(open_.back().fd.get(), name.c_str(), member);
  }

  int make(int dir, const char* name, const DiskMember& member) {
    switch (member.type) {
      case MemberType::directory: return enter(dir, name, member);
      case MemberType::file: return make_file(dir, name, member);
      case MemberType::hard_link: return make_hard_link(dir, name, member);
      case MemberType::symbolic_link: {
        const std::string target(member.target);
        if (target.empty() || target.find('\0') != std::string::npos) return EBADMSG;
        if (::symlinkat(target.c_str(), dir, name) < 0) return reason(errno);
        return settle(dir, name, member);
      }
      case MemberType::fifo:
        if (::mknodat(dir, name, S_IFIFO | 0600U, 0) < 0) return reason(errno);
        return settle(dir, name, member);
      case MemberType::character_device:  // what was removed, and no other
        if (member.device != 0 || ::mknodat(dir, name, S_IFCHR, 0) < 0)
          return member.device != 0 ? EBADMSG : reason(errno);
        return settle(dir, name, member);
      default: return EBADMSG;
    }
  }

  int enter(int dir, const char* name, const DiskMember& member) {
    if (::mkdirat(dir, name, 0700) < 0) return reason(errno);
    const int opened = os::open_directory(dir, name);
    if (opened < 0) return reason(-opened);
    open_.push_back({UniqueFd(opened), std::string(member.path), member});
    open_.back().said.path = open_.back().said.target = {};
    return set_attributes(opened);
  }

  int leave() {
    const Level level = std::move(open_.back());
    open_.pop_back();
    return open_.empty() ? 0 : settle(level.fd.get(), level.said);
  }

  int make_file(int dir, const char* name, const DiskMember& member) {
    const UniqueFd file(::openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return reason(errno);
    if (member.size > 0 && ::ftruncate(file.get(), static_cast<off_t>(member.size)) < 0) return reason(errno);
    static std::array<char, 256 * 1024> octets;  // NOLINT: written by the source
    for (;;) {
      std::uint64_t offset = 0;
      const ssize_t n = reader_.read(octets.data(), octets.size(), offset);
      if (n < 0) return static_cast<int>(-n);
      if (n == 0) break;
      if (const int error = write_at(file.get(), octets.data(), static_cast<std::size_t>(n), offset); error != 0)
        return error;
    }
    if (const int error = set_attributes(file.get()); error != 0) return error;
    return settle(file.get(), member);
  }

  // Of an empty file: what is nothing but zeros is left to be a hole, as it may have been one. An export fills short
  // holes, and a disk at its limit has no room for them.
  static int write_at(int file, const char* data, std::size_t size, std::uint64_t offset) {
    std::size_t begin = 0;  // of what is to be written
    for (std::size_t at = 0; at < size;) {
      const auto part = std::min(size - at, static_cast<std::size_t>(kPage - (offset + at) % kPage));
      const std::string_view page(data + at, part);
      at += part;
      if (page.find_first_not_of('\0') != std::string_view::npos) continue;
      const std::size_t end = at - part;
      if (const int error = write_all_at(file, data + begin, end - begin, offset + begin); error != 0) return error;
      begin = at;
    }
    return write_all_at(file, data + begin, size - begin, offset + begin);
  }

  static int write_all_at(int file, const char* data, std::size_t size, std::uint64_t offset) {
    while (size > 0) {
      const ssize_t n = ::pwrite(file, data, size, static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return reason(errno);
      data += n;
      size -= static_cast<std::size_t>(n);
      offset += static_cast<std::uint64_t>(n);
    }
    return 0;
  }

  // To a file that was made before. A directory is refused by the kernel.
  int make_hard_link(int dir, const char* name, const DiskMember& member) {
    const std::size_t slash = member.target.rfind('/');
    if (slash == std::string_view::npos || !member.target.starts_with("disk/")) return EBADMSG;
    const std::string last(member.target.substr(slash + 1));
    const std::string within = "." + std::string(member.target.substr(kTop.size(), slash - kTop.size()));
    if (!is_name(last) || within.find('\0') != std::string::npos) return EBADMSG;
    constexpr std::uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    const UniqueFd parent(sys::openat2(root_, within.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0, kResolve));
    if (!parent) return reason(errno);
    return ::linkat(parent.get(), last.c_str(), dir, name, 0) < 0 ? reason(errno) : 0;
  }

  int set_attributes(int fd) {
    std::string_view name;
    std::string_view value;
    while (reader_.next_attribute(name, value)) {
      const std::string text(name);
      if (!is_carried(name) || text.find('\0') != std::string::npos) return EBADMSG;
      if (::fsetxattr(fd, text.c_str(), value.data(), value.size(), XATTR_CREATE) < 0)
        return errno == ENOSPC && value.size() > kSurelyCarried ? EBADMSG : reason(errno);
    }
    return 0;
  }

  // Owner before mode: changing it takes setuid bits away.
  static int settle(int fd, const DiskMember& said) {
    const std::array<timespec, 2> times = {said.atime, said.mtime};
    if (::fchown(fd, said.uid, said.gid) < 0 || ::fchmod(fd, said.mode) < 0 || ::futimens(fd, times.data()) < 0)
      return reason(errno);
    return 0;
  }

  // Of what cannot be opened: it has just been made here, so the name is its.
  int settle(int dir, const char* name, const DiskMember& said) {
    const std::array<timespec, 2> times = {said.atime, said.mtime};
    if (::fchownat(dir, name, said.uid, said.gid, AT_SYMLINK_NOFOLLOW) < 0) return reason(errno);
    const bool has_mode = said.type == MemberType::fifo || said.type == MemberType::character_device;
    if (has_mode && ::fchmodat(dir, name, said.mode, 0) < 0) return reason(errno);
    std::string_view attribute;
    std::string_view value;
    if (reader_.next_attribute(attribute, value)) return EBADMSG;
    return ::utimensat(dir, name, times.data(), AT_SYMLINK_NOFOLLOW) < 0 ? reason(errno) : 0;
  }

  int root_;
  DiskTarReader& reader_;
  std::uint64_t max_members_;
  DiskProblem& problem_;
  os::PathBuffer path_;
  std::vector<Level> open_;
};

}  // namespace

void unpack_disk(int root, DiskTarReader& reader, std::uint64_t max_members, DiskProblem& problem) {
  DiskUnpacker(root, reader, max_members, problem).run();
}

}  // namespace lmsb::guest
