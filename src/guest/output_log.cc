#include "guest/output_log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace lmsb::guest {
namespace {

// A file without a name, which nobody but us can open; in /tmp where / is root's, and the guest is not. Overlays know
// O_TMPFILE since Linux 6.1; before that one is made in /tmp, where only its owner may touch it, and its name removed.
// Not where a link leads that root has put there: to what only the guest has, or to what never answers.
UniqueFd make_nameless_file() {
  UniqueFd directory;
  for (const char* place : {"/", "/tmp"}) {
    directory.reset(::open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) return {};
    UniqueFd file(::openat(directory.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (file) return file;
  }
  constexpr const char* kName = ".lm-sandbox-output";
  UniqueFd file(::openat(directory.get(), kName, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600));
  if (file) (void)::unlinkat(directory.get(), kName, 0);
  return file;
}

}  // namespace

OutputLog::~OutputLog() { clear(); }

void OutputLog::clear() {
  if (ring_ != nullptr) (void)::munmap(ring_, kRing);
  ring_ = nullptr;
  file_.reset();
  end_ = file_begin_ = file_end_ = 0;
  file_is_full_ = false;
}

int OutputLog::prepare(std::uint64_t max_file) {
  max_file_ = max_file;
  void* const memory = ::mmap(nullptr, kRing, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno;
  ring_ = static_cast<char*>(memory);
  return 0;
}

void OutputLog::append(const char* data, std::size_t size) {
  while (size > 0) {
    const std::size_t part = std::min(size, kRing);
    const std::uint64_t end_after = end_ + part;
    if (end_after > kRing) spill(end_after - kRing - ring_begin());
    copy_in(data, part);
    data += part;
    size -= part;
  }
}

void OutputLog::copy_in(const char* data, std::size_t size) {
  const std::size_t at = end_ % kRing;
  const std::size_t first = std::min(size, kRing - at);
  std::memcpy(ring_ + at, data, first);
  std::memcpy(ring_, data + first, size - first);
  end_ += size;
}

// Saves the oldest `count` octets of the ring before they are overwritten.
void OutputLog::spill(std::uint64_t count) {
  if (file_is_full_) return;
  if (!file_ && max_file_ > 0) file_ = make_nameless_file();
  while (count > 0) {
    const std::uint64_t begin = file_end_;  // the file goes on where it ended as long as it is not full
    const std::size_t at = begin % kRing;
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(count, kRing - at));
    const std::uint64_t position = begin - file_begin_;
    const bool has_room = file_ && position + part <= max_file_;
    const ssize_t n = has_room ? ::pwrite(file_.get(), ring_ + at, part, static_cast<off_t>(position)) : -1;
    if (n < 0 && has_room && errno == EINTR) continue;
    if (n <= 0) {
      file_is_full_ = true;  // no room on the disk, or enough of it
      return;
    }
    file_end_ += static_cast<std::uint64_t>(n);
    count -= static_cast<std::uint64_t>(n);
  }
}

void OutputLog::discard(std::uint64_t offset) {
  if (!file_ || offset < file_end_ || ::ftruncate(file_.get(), 0) < 0) return;
  file_begin_ = file_end_ = ring_begin();
  file_is_full_ = false;
}

std::size_t OutputLog::read(std::uint64_t& offset, char* data, std::size_t size) const {
  offset = std::max(offset, file_begin_);
  if (offset < file_end_ && offset < ring_begin()) {
    const std::uint64_t until = std::min(file_end_, ring_begin());
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(size, until - offset));
    const ssize_t n = ::pread(file_.get(), data, part, static_cast<off_t>(offset - file_begin_));
    if (n > 0) return static_cast<std::size_t>(n);
  }
  offset = std::max(offset, ring_begin());
  return read_ring(offset, data, size);
}

std::size_t OutputLog::read_ring(std::uint64_t offset, char* data, std::size_t size) const {
  if (offset >= end_) return 0;
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(size, end_ - offset));
  const std::size_t at = offset % kRing;
  const std::size_t first = std::min(part, kRing - at);
  std::memcpy(data, ring_ + at, first);
  std::memcpy(data + first, ring_, part - first);
  return part;
}

}  // namespace lmsb::guest
