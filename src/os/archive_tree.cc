#include "os/archive_tree.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/atomic_file.h"
#include "os/link_table.h"

namespace lmsb::os {
namespace {

std::array<char, 64 * 1024> block;  // one thread
LinkTable links;                    // the same

// Of a mode. Not the set-id bits: who takes an archive apart as root would have programs of root's from it, with what
// the sandbox has put there.
constexpr mode_t kArchivedBits = 01777;

// Opens a file to be read, without waiting for anybody. -errno; -ENOTSUP for what is no regular file.
int open_regular(int dir, const char* name) {
  UniqueFd file(::openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0) return -errno;
  return S_ISREG(status.st_mode) ? file.release() : -ENOTSUP;
}

int send_content(int file, std::uint64_t size, ArchiveWriter& writer, ArchiveEvents& events, ArchiveOutcome& outcome) {
  while (size > 0) {
    const ssize_t n = ::read(file, block.data(), static_cast<std::size_t>(std::min<std::uint64_t>(size, block.size())));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return ESTALE;
    if (const int error = writer.content(block.data(), static_cast<std::size_t>(n)); error != 0) return error;
    size -= static_cast<std::uint64_t>(n);
    outcome.bytes += static_cast<std::uint64_t>(n);
    events.moved(static_cast<std::uint64_t>(n));
  }
  return 0;
}

void fail(ArchiveOutcome& outcome, std::string_view path, int error) {
  outcome.error = error;
  outcome.at.cut(0);
  (void)outcome.at.push(path);
}

class TreeWriter final : public TreeWalk {
 public:
  TreeWriter(ArchiveWriter& writer, ArchiveEvents& events, ArchiveOutcome& outcome)
      : TreeWalk(""), writer_(writer), events_(events), outcome_(outcome) {}

 private:
  Next visit(const Found& found) override {
    ArchiveMember member;
    member.path = found.path;
    member.mode = found.status.st_mode & kArchivedBits;
    member.mtime = found.status.st_mtim.tv_sec;
    if (S_ISREG(found.status.st_mode)) {
      if (has_links(found)) member.target = links.find(found.status);
      if (member.target.empty()) return file(found);
      member.type = MemberType::hard_link;
      return put(member);
    }
    if (S_ISDIR(found.status.st_mode)) {
      member.type = MemberType::directory;
      return put(member);
    }
    if (!S_ISLNK(found.status.st_mode)) return problem(found.path, ENOTSUP);
    std::array<char, kMaxArchivePath> target;  // NOLINT: written by the kernel
    const ssize_t size = ::readlinkat(found.dir, found.name, target.data(), target.size());
    if (size < 0) return problem(found.path, errno);
    member.type = MemberType::symbolic_link;
    member.target = {target.data(), static_cast<std::size_t>(size)};
    return put(member);
  }
  Next problem(std::string_view path, int error) override {
    if (error == ENOENT || events_.skipped(path, error)) return Next::pass_over;
    fail(outcome_, path, error);
    return Next::stop;
  }

  Next put(const ArchiveMember& member) {
    ++outcome_.members;
    const int error = writer_.member(member);
    if (error == 0) return Next::go_on;
    fail(outcome_, member.path, error);
    return Next::stop;
  }
  Next file(const Found& found) {
    const int opened = open_regular(found.dir, found.name);
    if (opened < 0) return problem(found.path, -opened);
    const UniqueFd owned(opened);
    if (is_mostly_holes(found.status)) return problem(found.path, EFBIG);
    write_file(opened, found.path, writer_, events_, outcome_);
    if (has_links(found) && outcome_.error == 0) links.add(found.status, found.path);
    return outcome_.error == 0 ? Next::go_on : Next::stop;
  }
  bool has_links(const Found& found) const { return found.status.st_nlink > 1 && writer_.keeps_hard_links(); }

  ArchiveWriter& writer_;
  ArchiveEvents& events_;
  ArchiveOutcome& outcome_;
};

bool is_link(int dir, const char* name) {
  struct stat status {};
  return ::fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
}

// Walks down to the directory that a member goes into, from the top each time, and makes what is missing. Links are not
// followed. Returns a descriptor or -errno; `name` is then the last component. Makes nothing without `events`.
int parent_of(int top, std::string_view path, ArchiveEvents* events, std::array<char, 256>& name) {
  UniqueFd dir(::fcntl(top, F_DUPFD_CLOEXEC, 3));
  while (dir) {
    while (path.starts_with('/')) path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    if (part.size() >= name.size()) return -ENAMETOOLONG;
    if (part == "..") return -EXDEV;
    const bool is_last = path.find_first_not_of('/') == std::string_view::npos;
    if (part == "." && !is_last) continue;
    if (part.empty() || part == ".") return -ENOENT;  // the directory itself
    std::copy(part.begin(), part.end(), name.begin());
    name[part.size()] = '\0';
    if (is_last) return dir.release();
    if (events != nullptr) {
      const bool is_new = ::mkdirat(dir.get(), name.data(), 0755) == 0;
      if (!is_new && errno != EEXIST) return -errno;
      if (const int error = is_new ? events->made(dir.get(), name.data()) : 0; error != 0) return -error;
    }
    const int next = open_directory(dir.get(), name.data());
    if (next < 0) return next == -ENOTDIR && is_link(dir.get(), name.data()) ? -ELOOP : next;
    dir.reset(next);
  }
  return -errno;
}

constexpr std::size_t kHole = 4096;

bool begins_with_hole(std::string_view octets, off_t at) {
  if (octets.size() < kHole || static_cast<std::size_t>(at) % kHole != 0) return false;
  return octets[0] == 0 && std::memcmp(octets.data(), octets.data() + 1, kHole - 1) == 0;
}

// Writes what belongs `at` there, but for whole blocks of zeros. Returns 0 or an errno.
int write_around_holes(int file, std::string_view octets, off_t at) {
  while (!octets.empty()) {
    std::size_t size = 0;
    const auto rest = [&] { return octets.substr(size); };
    const auto place = [&] { return at + static_cast<off_t>(size); };
    while (size < octets.size() && !begins_with_hole(rest(), place()))
      size += std::min(rest().size(), kHole - static_cast<std::size_t>(place()) % kHole);
    if (size > 0 && ::lseek(file, at, SEEK_SET) < 0) return errno;
    if (const int error = write_exactly(file, octets.data(), size); error != 0) return error;
    while (begins_with_hole(rest(), place())) size += kHole;
    octets.remove_prefix(size);
    at += static_cast<off_t>(size);
  }
  return 0;
}

class Extractor {
 public:
  Extractor(int top, ArchiveReader& reader, ArchiveEvents& events, ArchiveOutcome& outcome, mode_t mask)
      : top_(top), reader_(reader), events_(events), outcome_(outcome), allowed_(0777U & ~mask) {}

  // Takes one member. Returns 0 or an errno.
  int take(const ArchiveMember& member) {
    if (member.type != MemberType::file && member.type != MemberType::directory &&
        member.type != MemberType::symbolic_link && member.type != MemberType::hard_link)
      return events_.skipped(member.path, ENOTSUP) ? 0 : ENOTSUP;
    const int opened = parent_of(top_, member.path, &events_, name_);
    if (opened == -ENOENT && member.type == MemberType::directory) return 0;  // "./": the top is there
    if (opened < 0) return -opened;
    const UniqueFd parent(opened);
    ++outcome_.members;
    switch (member.type) {
      case MemberType::file: return take_file(parent.get(), member);
      case MemberType::directory: return take_directory(parent.get(), member);
      case MemberType::symbolic_link: return take_symbolic_link(parent.get(), member);
      default: return take_hard_link(parent.get(), member);
    }
  }

 private:
  // Less than a whole block is the end of the content; -errno.
  ssize_t fill_block() {
    std::size_t filled = 0;
    while (filled < block.size()) {
      const ssize_t n = reader_.read(block.data() + filled, block.size() - filled);
      if (n < 0) return n;
      if (n == 0) break;
      filled += static_cast<std::size_t>(n);
    }
    return static_cast<ssize_t>(filled);
  }

  int take_file(int parent, const ArchiveMember& member) {
    AtomicFile file(parent);
    if (const int error = file.open(member.mode & allowed_); error != 0) return error;
    if (const int error = events_.made(file.fd(), ""); error != 0) return error;
    off_t size = 0;
    for (;;) {
      const ssize_t n = fill_block();
      if (n < 0) return static_cast<int>(-n);
      if (n == 0) break;
      if (const int error = write_around_holes(file.fd(), {block.data(), static_cast<std::size_t>(n)}, size);
          error != 0)
        return error;
      size += n;
      outcome_.bytes += static_cast<std::uint64_t>(n);
      events_.moved(static_cast<std::uint64_t>(n));
    }
    if (::ftruncate(file.fd(), size) < 0) return errno;  // where it ends with a hole
    const std::array<timespec, 2> times = {{{0, UTIME_OMIT}, {static_cast<time_t>(member.mtime), 0}}};
    (void)::futimens(file.fd(), times.data());
    return file.commit(name_.data(), AtomicFile::Existing::replaced);
  }

  // Always open to its owner: what is to be in it comes later.
  int take_directory(int parent, const ArchiveMember& member) {
    const bool is_new = ::mkdirat(parent, name_.data(), 0700) == 0;
    if (!is_new && errno != EEXIST) return errno;
    const int opened = open_directory(parent, name_.data());
    if (opened < 0) return -opened;
    const UniqueFd dir(opened);
    if (!is_new) return 0;
    if (const int error = events_.made(opened, ""); error != 0) return error;
    return ::fchmod(opened, (member.mode & allowed_) | 0700U) < 0 ? errno : 0;
  }

  int take_symbolic_link(int parent, const ArchiveMember& member) {
    bool is_made = ::symlinkat(member.target.data(), parent, name_.data()) == 0;
    if (!is_made && errno != EEXIST) return errno;
    if (!is_made && ::unlinkat(parent, name_.data(), 0) < 0) return errno;
    if (!is_made) is_made = ::symlinkat(member.target.data(), parent, name_.data()) == 0;
    return is_made ? events_.made(parent, name_.data()) : errno;
  }

  // A slash in front says nothing of a member, which an archive may call by its whole path; but who means a file of the
  // machine is told that he gets out nowhere.
  int take_hard_link(int parent, const ArchiveMember& member) const {
    const int error = link_member(parent, member);
    return error == ENOENT && member.target.starts_with('/') ? EXDEV : error;
  }

  // To a file of the same directory, found as members are.
  int link_member(int parent, const ArchiveMember& member) const {
    std::array<char, 256> source_name{};
    const int opened = parent_of(top_, member.target, nullptr, source_name);
    if (opened < 0) return -opened;
    const UniqueFd source(opened);
    if (::linkat(opened, source_name.data(), parent, name_.data(), 0) == 0) return 0;
    if (errno != EEXIST || is_same(opened, source_name.data(), parent)) return errno == EEXIST ? 0 : errno;
    if (::unlinkat(parent, name_.data(), 0) < 0) return errno;
    return ::linkat(opened, source_name.data(), parent, name_.data(), 0) < 0 ? errno : 0;
  }

  // Whether the link is there already: removing it could remove the file. Leaves errno as it is.
  bool is_same(int source, const char* source_name, int parent) const {
    const int before = errno;
    struct stat a {};
    struct stat b {};
    const bool same = ::fstatat(source, source_name, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
                      ::fstatat(parent, name_.data(), &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino &&
                      a.st_dev == b.st_dev;
    errno = before;
    return same;
  }

  int top_;
  ArchiveReader& reader_;
  ArchiveEvents& events_;
  ArchiveOutcome& outcome_;
  mode_t allowed_;
  std::array<char, 256> name_{};
};

}  // namespace

bool is_mostly_holes(const struct stat& status) {
  constexpr off_t kMostHoles = off_t{64} << 30U;
  return status.st_size > status.st_blocks * 512 + kMostHoles;
}

void write_file(int file, std::string_view name, ArchiveWriter& writer, ArchiveEvents& events,
                ArchiveOutcome& outcome) {
  struct stat status {};
  if (::fstat(file, &status) < 0) return fail(outcome, name, errno);
  ArchiveMember member;
  member.path = name;
  member.mode = status.st_mode & kArchivedBits;
  member.mtime = status.st_mtim.tv_sec;
  member.size = static_cast<std::uint64_t>(status.st_size);
  ++outcome.members;
  int error = writer.member(member);
  if (error == 0) error = send_content(file, member.size, writer, events, outcome);
  if (error != 0) fail(outcome, name, error);
}

void write_tree(int dir, ArchiveWriter& writer, ArchiveEvents& events, ArchiveOutcome& outcome) {
  links.clear();
  TreeWriter tree(writer, events, outcome);
  if (const int error = tree.walk(dir); error != 0 && outcome.error == 0) fail(outcome, "", error);
}

void extract_tree(int dir, ArchiveReader& reader, ArchiveEvents& events, ArchiveOutcome& outcome, mode_t mask) {
  Extractor extractor(dir, reader, events, outcome, mask);
  ArchiveMember member;
  for (;;) {
    const int got = reader.next(member);
    if (got < 0) return fail(outcome, "", -got);
    if (got == 0) break;
    if (const int error = extractor.take(member); error != 0) return fail(outcome, member.path, error);
  }
  if (const int error = reader.drain(); error != 0) fail(outcome, "", error);
}

}  // namespace lmsb::os
