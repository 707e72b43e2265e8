#include "guest/disk_pack.h"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/xattr.h>
#include <unistd.h>
#include <unordered_map>

#include "base/unique_fd.h"

namespace lmsb::guest {
namespace {

using os::MemberType;

constexpr std::uint64_t kShortestHole = 64U << 10U;
constexpr std::size_t kMaxAttributeList = 64U << 10U;  // the kernel's own limit, of a value, too
constexpr std::size_t kMaxTarget = 4095;

// The first path of each file that has several, until all of them have been seen.
class HardLinks {
 public:
  // The path that it was first found at; "" when this is it. nullptr: there are too many.
  const std::string* find(const struct stat& status, std::string_view path) {
    const auto [place, is_new] = first_.try_emplace(status.st_ino);
    if (is_new) {
      octets_ += path.size() + kEntry;
      place->second = {std::string(path), status.st_nlink};
      static const std::string none;
      return octets_ <= kMaxOctets ? &none : nullptr;
    }
    if (--place->second.left > 1) return &place->second.path;
    last_ = std::move(place->second.path);
    octets_ -= last_.size() + kEntry;
    first_.erase(place);
    return &last_;
  }

 private:
  static constexpr std::size_t kMaxOctets = 128U << 20U;
  static constexpr std::size_t kEntry = 96;  // of memory, beside the path
  struct First {
    std::string path;
    nlink_t left = 0;
  };
  std::unordered_map<ino_t, First> first_;
  std::string last_;
  std::size_t octets_ = 0;
};

// Parts with holes of `shortest` and more between them. False: there are too many.
bool find_parts(int file, std::uint64_t size, std::uint64_t shortest, std::span<Extent> extents, std::size_t& count) {
  count = 0;
  std::uint64_t end = 0;  // of the last part
  for (std::uint64_t at = 0; at < size;) {
    const off_t data = ::lseek(file, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // nothing but a hole is left
    // Where the kernel does not say, the rest is octets: to read them tells why.
    const off_t hole = data < 0 ? -1 : ::lseek(file, data, SEEK_HOLE);
    const std::uint64_t begin = data < 0 ? at : static_cast<std::uint64_t>(data);
    at = hole < 0 ? size : std::min(static_cast<std::uint64_t>(hole), size);
    if (begin >= size) break;
    if (count > 0 && begin - end < shortest) {
      extents[count - 1].size = at - extents[count - 1].offset;
    } else if (count == extents.size() - 1) {
      return false;
    } else {
      const std::uint64_t from = begin < shortest && count == 0 ? 0 : begin;
      extents[count++] = {from, at - from};
    }
    end = at;
  }
  if (count > 0 && size - end < shortest) extents[count - 1].size = size - extents[count - 1].offset;
  return true;
}

class DiskPacker final : public os::TreeWalk {
 public:
  DiskPacker(DiskTarWriter& writer, DiskProblem& problem) : os::TreeWalk("disk"), writer_(writer), problem_(problem) {}

  bool top(int root) {
    struct stat status {};
    DiskMember member;
    if (::fstat(root, &status) < 0) return fail("disk", errno);
    return describe("disk", status, MemberType::directory, member) && put(member);
  }

 protected:
  Next visit(const Found& found) override {
    const std::string_view name = found.name;
    if (found.depth == 1 && name != "upper" && name != "root") return Next::pass_over;
    return pack(found) ? Next::go_on : Next::stop;
  }
  Next problem(std::string_view path, int error) override {
    (void)fail(path, error);
    return Next::stop;
  }

 private:
  bool fail(std::string_view path, int error) {
    problem_.note(path, error);
    return false;
  }

  bool put(const DiskMember& member, std::span<const Extent> extents = {}, bool has_holes = false) {
    const int error = writer_.member(member, extents, has_holes);
    return error == 0 || fail(member.path, error);
  }

  bool describe(std::string_view path, const struct stat& status, MemberType type, DiskMember& member) {
    member.path = path;
    member.type = type;
    member.mode = status.st_mode & 07777U;
    member.uid = status.st_uid;
    member.gid = status.st_gid;
    member.atime = status.st_atim;
    member.mtime = status.st_mtim;
    return true;
  }

  bool pack(const Found& found) {
    DiskMember member;
    const mode_t kind = found.status.st_mode & S_IFMT;
    if (kind == S_IFSOCK) return true;
    if (kind == S_IFCHR && found.status.st_rdev == 0)  // what was removed; the kernel makes links of them
      return describe(found.path, found.status, MemberType::character_device, member) && put(member);
    if (kind == S_IFCHR || kind == S_IFBLK) return fail(found.path, ENOTSUP);
    if (kind == S_IFDIR) return pack_directory(found, member);
    if (found.status.st_nlink > 1) {
      const std::string* const first = links_.find(found.status, found.path);
      if (first == nullptr) return fail(found.path, E2BIG);
      if (!first->empty()) {
        (void)describe(found.path, found.status, MemberType::hard_link, member);
        member.target = *first;
        return put(member);
      }
    }
    if (kind == S_IFLNK) return pack_link(found, member);
    if (kind == S_IFIFO) return describe(found.path, found.status, MemberType::fifo, member) && put(member);
    return pack_file(found, member);
  }

  bool pack_directory(const Found& found, DiskMember& member) {
    const UniqueFd directory(os::open_directory(found.dir, found.name));
    if (directory.get() < 0) return fail(found.path, -directory.get());
    return add_attributes(directory.get(), found.path) &&
           describe(found.path, found.status, MemberType::directory, member) && put(member);
  }

  bool pack_link(const Found& found, DiskMember& member) {
    static std::array<char, kMaxTarget + 1> target;  // NOLINT: written by the kernel
    const ssize_t size = ::readlinkat(found.dir, found.name, target.data(), target.size());
    if (size < 0 || static_cast<std::size_t>(size) > kMaxTarget)
      return fail(found.path, size < 0 ? errno : ENAMETOOLONG);
    (void)describe(found.path, found.status, MemberType::symbolic_link, member);
    member.target = {target.data(), static_cast<std::size_t>(size)};
    return put(member);
  }

  // Small holes are written out as zeros: a file of many may seem to have thousands of times what it takes.
  static bool fills_too_much(std::span<const Extent> parts, const struct stat& status) {
    constexpr std::uint64_t kMostHoles = std::uint64_t{16} << 30U;
    std::uint64_t all = 0;
    for (const Extent& part : parts) all += part.size;
    return all > static_cast<std::uint64_t>(status.st_blocks) * 512 + kMostHoles;
  }

  bool pack_file(const Found& found, DiskMember& member) {
    const UniqueFd file(::openat(found.dir, found.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) < 0) return fail(found.path, errno);
    if (!add_attributes(file.get(), found.path)) return false;
    (void)describe(found.path, status, MemberType::file, member);
    member.size = static_cast<std::uint64_t>(status.st_size);
    std::size_t count = 0;
    const bool may_have_holes = static_cast<std::uint64_t>(status.st_blocks) * 512 < member.size;
    if (!may_have_holes || !find_extents(file.get(), member.size, extents_, count)) {
      extents_[0] = {0, member.size};
      if (fills_too_much({extents_.data(), 1}, status)) return fail(found.path, E2BIG);
      return put(member) && copy(file.get(), found.path, {extents_.data(), 1});
    }
    const std::uint64_t end = count == 0 ? 0 : extents_[count - 1].offset + extents_[count - 1].size;
    if (end < member.size) extents_[count++] = {member.size, 0};  // as GNU tar says where the last hole ends
    const std::span<const Extent> parts(extents_.data(), count);
    if (fills_too_much(parts, status)) return fail(found.path, E2BIG);
    return put(member, parts, true) && copy(file.get(), found.path, parts);
  }

  bool copy(int file, std::string_view path, std::span<const Extent> parts) {
    static std::array<char, 256 * 1024> octets;  // NOLINT: written by the kernel
    for (const Extent& part : parts)
      for (std::uint64_t done = 0; done < part.size;) {
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(part.size - done, octets.size()));
        const ssize_t n = ::pread(file, octets.data(), wanted, static_cast<off_t>(part.offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(path, n < 0 ? errno : EIO);
        if (const int error = writer_.content(octets.data(), static_cast<std::size_t>(n)); error != 0)
          return fail(path, error);
        done += static_cast<std::uint64_t>(n);
      }
    return true;
  }

  bool add_attributes(int fd, std::string_view path) {
    static std::array<char, kMaxAttributeList> names;  // NOLINT: written by the kernel
    static std::array<char, kMaxAttributeList> value;  // NOLINT
    const ssize_t all = ::flistxattr(fd, names.data(), names.size());
    if (all < 0) return errno == ENOTSUP || fail(path, errno == ERANGE ? E2BIG : errno);
    std::string_view rest(names.data(), static_cast<std::size_t>(all));
    while (!rest.empty()) {
      const std::string_view name = rest.substr(0, rest.find('\0'));
      rest.remove_prefix(name.size() + 1);
      if (!is_carried(name)) continue;
      const ssize_t size = ::fgetxattr(fd, name.data(), value.data(), value.size());
      if (size < 0) return fail(path, errno == ERANGE ? E2BIG : errno);
      const int error = writer_.attribute(name, {value.data(), static_cast<std::size_t>(size)});
      if (error != 0) return fail(path, error);
    }
    return true;
  }

  DiskTarWriter& writer_;
  DiskProblem& problem_;
  HardLinks links_;
  std::array<Extent, kMaxExtents> extents_{};
};

}  // namespace

void DiskProblem::note(std::string_view where, int why) {
  if (error != 0) return;
  error = why;
  path.cut(0);
  (void)path.push(where.substr(0, os::PathBuffer::kMax));
}

bool find_extents(int file, std::uint64_t size, std::span<Extent> extents, std::size_t& count) {
  std::uint64_t shortest = kShortestHole;
  while (!find_parts(file, size, shortest, extents, count)) shortest *= 2;
  return count != 1 || extents[0].size < size;
}

void pack_disk(int root, DiskTarWriter& writer, DiskProblem& problem) {
  static DiskPacker packer(writer, problem);
  if (!packer.top(root)) return;
  if (const int error = packer.walk(root); error != 0) problem.note("disk", error);
  if (problem.error != 0) return;
  if (const int error = writer.finish(); error != 0) problem.note("end", error);
}

}  // namespace lmsb::guest
