#include "guest/file_answer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "guest/owner_names.h"
#include "os/atomic_file.h"

namespace lmsb::guest {
namespace {

using guest_protocol::RecordHeader;
using guest_protocol::RecordKind;

std::array<char, 2 * guest_protocol::kMaxRecordBody> collected;
std::size_t collected_size = 0;
std::uint64_t skipped_count = 0;
std::size_t skipped_octets = 0;
std::uint64_t text_octets = 0;

void collect(const void* data, std::size_t size) {
  if (collected_size + size > collected.size()) answer::flush();
  std::memcpy(collected.data() + collected_size, data, size);
  collected_size += size;
}

// A record of a fixed part and texts.
template <class Fixed, class... Texts>
void put(RecordKind kind, const Fixed& fixed, Texts... texts) {
  const std::size_t text_size = (std::size_t{0} + ... + texts.size());
  const std::size_t size = sizeof fixed + text_size;
  text_octets += text_size;
  const RecordHeader header{guest_protocol::kRecordMagic, kind, static_cast<std::uint32_t>(size)};
  collect(&header, sizeof header);
  collect(&fixed, sizeof fixed);
  (collect(texts.data(), texts.size()), ...);
}

// A pipe of our own. What reads a disk holds the lock of the pipe that it fills: nobody else waits for this one's.
struct OwnPipe {
  int read = -1;
  int write = -1;
};

OwnPipe make_own_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return {};
  (void)::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(guest_protocol::kMaxDataBody));  // or as much as there is
  return {ends[0], ends[1]};
}

void put_data_header(std::size_t size) {
  const RecordHeader header{guest_protocol::kRecordMagic, RecordKind::data, static_cast<std::uint32_t>(size)};
  collect(&header, sizeof header);
}

std::uint32_t size_of(std::string_view text) { return static_cast<std::uint32_t>(text.size()); }

std::string_view shown(std::string_view path) { return path.substr(0, guest_protocol::kMaxFilePath); }

[[noreturn]] void end_with(const guest_protocol::DoneRecord& record, std::string_view cursor) {
  put(RecordKind::done, record, cursor);
  answer::flush();
  ::_exit(0);
}

}  // namespace

namespace answer {

void flush() {
  if (os::write_exactly(1, collected.data(), collected_size) != 0) ::_exit(EPIPE);
  collected_size = 0;
}

void entry(std::string_view path, const struct stat& status, std::string_view target) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::string_view owner = sandbox_users().name_of(status.st_uid);
  const std::string_view group = sandbox_groups().name_of(status.st_gid);
  guest_protocol::EntryRecord record{};
  record.size = static_cast<std::uint64_t>(status.st_size);
  record.inode = status.st_ino;
  record.mtime_s = status.st_mtim.tv_sec;
  record.mtime_ns = static_cast<std::uint32_t>(status.st_mtim.tv_nsec);
  record.ctime_s = status.st_ctim.tv_sec;
  record.ctime_ns = static_cast<std::uint32_t>(status.st_ctim.tv_nsec);
  record.now_s = now.tv_sec;
  record.mode = status.st_mode;
  record.uid = status.st_uid;
  record.gid = status.st_gid;
  record.links = static_cast<std::uint32_t>(status.st_nlink);
  path = shown(path);
  record.path_size = size_of(path);
  record.owner_size = size_of(owner);
  record.group_size = size_of(group);
  record.target_size = size_of(target);
  put(RecordKind::entry, record, path, owner, group, target);
}

void entry_at(int dir, const char* name, std::string_view path, const struct stat& status) {
  std::array<char, guest_protocol::kMaxFilePath> target;  // NOLINT: written by the kernel
  const ssize_t size = S_ISLNK(status.st_mode) ? ::readlinkat(dir, name, target.data(), target.size()) : 0;
  entry(path, status, {target.data(), static_cast<std::size_t>(std::max<ssize_t>(0, size))});
}

void data(const void* octets, std::size_t size) {
  const char* at = static_cast<const char*>(octets);
  while (size > 0) {
    const std::size_t part = std::min<std::size_t>(size, guest_protocol::kMaxRecordBody);
    put_data_header(part);
    collect(at, part);
    at += part;
    size -= part;
  }
}

namespace {

ssize_t copied_data(int file, loff_t at, std::size_t size) {
  static std::array<char, guest_protocol::kMaxRecordBody> part;
  const ssize_t n = ::pread(file, part.data(), std::min(size, part.size()), at);
  if (n > 0) data(part.data(), static_cast<std::size_t>(n));
  return n;
}

}  // namespace

ssize_t file_data(int file, std::uint64_t offset, std::size_t size) {
  static const OwnPipe own = make_own_pipe();
  auto at = static_cast<loff_t>(offset);
  const ssize_t n = ::splice(file, &at, own.write, nullptr, size, 0);
  // Not of this file system; or there is no pipe of our own.
  if (n < 0 && (errno == EINVAL || errno == EBADF)) return copied_data(file, at, size);
  if (n <= 0) return n;
  put_data_header(static_cast<std::size_t>(n));
  flush();
  for (ssize_t left = n; left > 0;) {
    const ssize_t moved = ::splice(own.read, nullptr, 1, nullptr, static_cast<std::size_t>(left), 0);
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) ::_exit(EPIPE);
    left -= moved;
  }
  return n;
}

void match(std::string_view path, std::uint64_t line, std::string_view text) {
  const bool is_cut = text.size() > guest_protocol::kMaxShownLine;
  text = text.substr(0, guest_protocol::kMaxShownLine);
  path = shown(path);
  const guest_protocol::MatchRecord record{line, size_of(path), size_of(text), is_cut ? 1U : 0U, 0};
  put(RecordKind::match, record, path, text);
}

void changed(std::string_view path, std::uint64_t replacements) {
  path = shown(path);
  put(RecordKind::changed, guest_protocol::ChangedRecord{replacements, size_of(path), 0}, path);
}

void armed(std::uint32_t directories) { put(RecordKind::armed, guest_protocol::ArmedRecord{directories, 0}); }

void event(guest_protocol::WatchKind kind, bool is_directory, std::string_view path) {
  path = shown(path);
  put(RecordKind::event, guest_protocol::EventRecord{kind, is_directory ? 1U : 0U, size_of(path), 0}, path);
}

// Bounded: who sends an archive reads the answer afterwards.
void skipped(std::string_view path, int error) {
  ++skipped_count;
  path = shown(path);
  skipped_octets += sizeof(RecordHeader) + sizeof(guest_protocol::ProblemRecord) + path.size();
  if (skipped_octets > guest_protocol::kMaxSkippedRecords) return;
  put(RecordKind::skipped, guest_protocol::ProblemRecord{error, size_of(path)}, path);
}

std::uint64_t skipped_so_far() { return skipped_count; }

bool is_full() { return text_octets > guest_protocol::kMaxListed; }

void done(std::uint64_t count, std::uint64_t bytes) { end_with({count, bytes, skipped_count, 0, 0}, {}); }

void done_up_to(Extent extent, std::uint64_t count, std::string_view cursor) {
  cursor = shown(cursor);
  end_with({count, 0, skipped_count, extent == Extent::truncated ? 1U : 0U, size_of(cursor)}, cursor);
}

void failed(std::string_view path, int error) {
  path = shown(path);
  put(RecordKind::failed, guest_protocol::ProblemRecord{error, size_of(path)}, path);
  flush();
  ::_exit(0);
}

}  // namespace answer

bool read_input(void* data, std::size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = ::read(0, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

ssize_t ChunkInput::read(void* data, std::size_t size) {
  if (left_ == 0 && !is_ended_) {
    guest_protocol::ChunkHeader header{};
    if (!read_input(&header, sizeof header) || header.size > guest_protocol::kMaxChunk) return errno = EPIPE, -1;
    left_ = header.size;
    is_ended_ = header.size == 0;
  }
  if (is_ended_) return 0;
  const ssize_t n = ::read(0, data, std::min(size, left_));
  if (n == 0) return errno = EPIPE, -1;
  if (n > 0) left_ -= static_cast<std::size_t>(n);
  return n;
}

}  // namespace lmsb::guest
