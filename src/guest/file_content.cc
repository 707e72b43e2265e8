// stat, read, write: one file at a time.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "base/unique_fd.h"
#include "guest/copy_content.h"
#include "guest/file_answer.h"
#include "guest/file_condition.h"
#include "guest/file_owner.h"
#include "guest/file_places.h"
#include "guest/file_program.h"
#include "guest_protocol/file_records.h"
#include "os/atomic_file.h"

namespace lmsb::guest {
namespace {

constexpr mode_t kUsualMode = 0644;
constexpr mode_t kPermissions = 0777;

std::array<char, 64 * 1024> block;

// Why something that is there is no file to be read or written.
int error_of_kind(mode_t mode) { return S_ISDIR(mode) ? EISDIR : ENOTSUP; }

// Of files that the kernel writes as they are read (those of /proc) nobody knows the size before: what is in them is
// taken first. Puts a copy in the place of `file`, and its size into `status`; of others nothing is read.
constexpr off_t kMaxGenerated = 16 << 20;
int take_generated(UniqueFd& file, struct stat& status) {
  if (status.st_size != 0) return 0;
  UniqueFd copy;
  for (off_t size = 0;;) {
    const ssize_t n = ::pread(file.get(), block.data(), block.size(), size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    status.st_size = size;
    if (n == 0) {
      if (copy) file = std::move(copy);
      return 0;
    }
    size += n;
    if (size > kMaxGenerated) return EOVERFLOW;
    if (!copy) copy.reset(::memfd_create("generated", MFD_CLOEXEC));
    if (!copy) return errno;
    if (const int error = os::write_exactly(copy.get(), block.data(), static_cast<std::size_t>(n)); error != 0)
      return error;
  }
}

// Whether a file may be in its place, as it was seen: nothing else is there. Returns 0 or an errno.
int check_kind(const Place& place) {
  return place.exists && !S_ISREG(place.status.st_mode) ? error_of_kind(place.status.st_mode) : 0;
}

// All of stdin into `file`. Returns 0 or an errno.
int take_input(int file) {
  ChunkInput input;
  for (;;) {
    const ssize_t n = input.read(block.data(), block.size());
    if (n == 0) return 0;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (const int error = os::write_exactly(file, block.data(), static_cast<std::size_t>(n)); error != 0) return error;
  }
}

// Of arguments that may be left out: null.
const char* word(const char* argument) { return std::strcmp(argument, "-") == 0 ? nullptr : argument; }

[[noreturn]] void show_and_end(const char* path, int dir, const char* name) {
  struct stat status {};
  if (::fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0) answer::failed(path, errno);
  answer::entry_at(dir, name, path, status);
  answer::done(1, static_cast<std::uint64_t>(status.st_size));
}

// What a written file is to be.
struct Wanted {
  std::optional<mode_t> mode;
  Owner owner;
  Condition condition;
};

// All of `from`, from its beginning on. Returns 0 or an errno.
int copy_into(int file, int from) {
  std::uint64_t bytes = 0;
  return ::lseek(from, 0, SEEK_SET) < 0 ? errno : copy_content(from, file, bytes);
}

// Where what is to be appended lies until all of it has come: beside the file, and where none may be made there, in
// /tmp of the sandbox. On its disk: memory is not there for it.
class Spool {
 public:
  explicit Spool(const Place& place) : beside_(place.dir) {}

  // Returns 0 or an errno.
  int open() {
    const int error = beside_.open(0600);
    if (error != EACCES && error != EPERM && error != EROFS && error != EOPNOTSUPP) return error;
    directory_.reset(::open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC));
    return directory_ ? elsewhere_.emplace(directory_.get()).open(0600) : errno;
  }
  int fd() const { return elsewhere_ ? elsewhere_->fd() : beside_.fd(); }
  // For the program that ends without destructors.
  void discard() {
    beside_.discard();
    if (elsewhere_) elsewhere_->discard();
  }

 private:
  os::AtomicFile beside_;
  UniqueFd directory_;
  std::optional<os::AtomicFile> elsewhere_;
};

// Puts all of stdin aside, unless it is not wanted. Returns 0, an errno or kConditionFailed.
int take_aside(const Place& place, const Condition& condition, Spool& aside) {
  int error = check_kind(place);
  if (error == 0) error = condition.check(place);
  if (error == 0) error = aside.open();
  return error == 0 ? take_input(aside.fd()) : error;
}

// The file to append to. Returns 0 or an errno.
int open_end(const Place& place, const Wanted& wanted, UniqueFd& file) {
  if (const int error = check_kind(place); error != 0) return error;
  file.reset(::openat(place.dir, place.name.data(),
                      O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                      wanted.mode.value_or(kUsualMode)));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0) return errno;
  if (!S_ISREG(status.st_mode)) return error_of_kind(status.st_mode);
  if (const int error = give(file.get(), wanted.owner); error != 0) return error;
  return wanted.mode && ::fchmod(file.get(), *wanted.mode) < 0 ? errno : 0;
}

// Whoever has a condition keeps others with one waiting from its look on: all that is to be written has come by then.
[[noreturn]] void append(const char* path, const Wanted& wanted) {
  Place place = find_target(path, wanted.condition.wants_a_file() ? nullptr : &wanted.owner);
  Spool aside(place);
  const bool waits = wanted.condition.is_something();
  UniqueFd file;
  int error = waits ? take_aside(place, wanted.condition, aside) : 0;
  if (error == 0) error = wanted.condition.hold(place);
  if (error == 0) error = open_end(place, wanted, file);
  if (error == 0) error = waits ? copy_into(file.get(), aside.fd()) : take_input(file.get());
  aside.discard();
  if (error != 0) answer::failed(path, error);
  show_and_end(path, place.dir, place.name.data());
}

}  // namespace

void file_stat(char* const* args) {
  const char* const path = args[0];
  const Place place = find_existing(path);
  answer::entry_at(place.dir, place.name.data(), path, place.status);
  struct stat target {};
  if (S_ISLNK(place.status.st_mode) && ::stat(path, &target) == 0) answer::entry(path, target);
  answer::done(1);
}

// Sends what is asked for once the file has been seen: who asks knows then what there is. What is read is not a
// snapshot; of a file that has become shorter the promised octets are missing, and the answer says ESTALE.
void file_read(char* const* args) {
  const char* const path = args[0];
  // What is no file is not opened: that alone would be noticed at the other end of a FIFO.
  const UniqueFd found(::open(path, O_PATH | O_CLOEXEC));
  struct stat status {};
  if (!found || ::fstat(found.get(), &status) < 0) answer::failed(path, errno);
  if (!S_ISREG(status.st_mode)) answer::failed(path, error_of_kind(status.st_mode));
  std::array<char, 32> self{};
  std::snprintf(self.data(), self.size(), "/proc/self/fd/%d", found.get());
  UniqueFd file(::open(self.data(), O_RDONLY | O_NOCTTY | O_CLOEXEC));
  if (!file) answer::failed(path, errno);
  if (const int error = take_generated(file, status); error != 0) answer::failed(path, error);
  answer::entry(path, status);
  answer::flush();
  guest_protocol::ReadOrder order{};
  if (!read_input(&order, sizeof order)) answer::done(0);
  std::uint64_t at = order.offset;
  for (std::uint64_t left = order.length; left > 0;) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left, guest_protocol::kMaxDataBody));
    const ssize_t n = answer::file_data(file.get(), at, part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) answer::failed(path, n < 0 ? errno : ESTALE);
    at += static_cast<std::uint64_t>(n);
    left -= static_cast<std::uint64_t>(n);
  }
  answer::done(1, order.length);
}

// A link in the last place is followed, as a shell's `>` does. The file that is replaced keeps its permissions and its
// owner unless others are asked for; links to it by other names keep the old content.
void file_write(char* const* args) {
  const char* const path = args[0];
  const std::string_view how = args[1];
  const bool is_plain = args[3] == nullptr;
  Wanted wanted{{}, parse_owner(is_plain ? nullptr : word(args[3])), Condition(is_plain ? nullptr : word(args[4]))};
  if (word(args[2]) != nullptr) wanted.mode = parse_mode(args[2]) & kPermissions;
  if (how == "append") append(path, wanted);
  if (how != "create" && how != "replace") answer::failed(path, EINVAL);
  const bool is_new = how == "create";
  const Owner* const parents = wanted.condition.wants_a_file() ? nullptr : &wanted.owner;
  Place place = is_new ? find_place(path, parents) : find_target(path, parents);
  if (place.exists && is_new) answer::failed(path, EEXIST);
  if (const int error = check_kind(place); error != 0) answer::failed(path, error);
  os::AtomicFile file(place.dir);
  const mode_t usual = place.exists ? place.status.st_mode & kPermissions : kUsualMode;
  int error = wanted.condition.check(place);
  if (error == 0) error = file.open(wanted.mode.value_or(usual));
  if (error == 0) error = give(file.fd(), wanted.owner);
  if (error == 0 && place.exists && !wanted.owner.is_given) keep_owner(file.fd(), place.status);
  if (error == 0) error = take_input(file.fd());
  if (error == 0) error = wanted.condition.hold(place);
  if (error == 0)
    error =
        file.commit(place.name.data(), is_new ? os::AtomicFile::Existing::kept : os::AtomicFile::Existing::replaced);
  if (error != 0) {
    file.discard();
    answer::failed(path, error);
  }
  show_and_end(path, place.dir, place.name.data());
}

}  // namespace lmsb::guest
