// pack, unpack: archives.
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/file_answer.h"
#include "guest/file_owner.h"
#include "guest/file_places.h"
#include "guest/file_program.h"
#include "guest/zip_reader.h"
#include "guest/zip_writer.h"
#include "guest/zstd_source.h"
#include "os/archive_tree.h"
#include "os/atomic_file.h"
#include "os/tar.h"

namespace lmsb::guest {
namespace {

class RecordSink final : public os::ArchiveSink {
 public:
  int write(const void* data, std::size_t size) override {
    answer::data(data, size);
    return 0;
  }
};

class ChunkSource final : public os::ArchiveSource {
 public:
  ssize_t read(void* data, std::size_t size) override { return input_.read(data, size); }

 private:
  ChunkInput input_;
};

class PackEvents final : public os::ArchiveEvents {
 public:
  explicit PackEvents(bool skip) : skip_(skip) {}
  // Sockets and devices are of no use elsewhere.
  bool skipped(std::string_view path, int error) override {
    if (!skip_ && error != ENOTSUP) return false;
    answer::skipped(path, error);
    return true;
  }

 private:
  bool skip_;
};

class UnpackEvents final : public os::ArchiveEvents {
 public:
  explicit UnpackEvents(const Owner& owner) : owner_(owner) {}
  int made(int dir, const char* name) override { return give_at(dir, name, owner_); }
  bool skipped(std::string_view path, int error) override {
    answer::skipped(path, error);
    return true;
  }

 private:
  const Owner& owner_;
};

// Looks for what cannot be read before anything is sent: an archive that breaks off says no reason.
class Readable final : public os::TreeWalk {
 public:
  explicit Readable(os::ArchiveOutcome& outcome) : TreeWalk(""), outcome_(outcome) {}

 private:
  Next visit(const Found& found) override {
    if (!S_ISREG(found.status.st_mode)) return Next::go_on;
    if (os::is_mostly_holes(found.status)) return problem(found.path, EFBIG);
    return ::faccessat(found.dir, found.name, R_OK, 0) == 0 ? Next::go_on : problem(found.path, errno);
  }
  Next problem(std::string_view path, int error) override {
    if (error == ENOENT) return Next::pass_over;
    outcome_.error = error;
    (void)outcome_.at.push(path);
    return Next::stop;
  }

  os::ArchiveOutcome& outcome_;
};

// A message names the whole path.
[[noreturn]] void end(const char* top, const os::ArchiveOutcome& outcome) {
  if (outcome.error == 0) answer::done(outcome.members, outcome.bytes);
  static os::PathBuffer path;
  path.cut(0);
  (void)path.push(top);
  if (outcome.at.size() > 0) (void)path.push(outcome.at.text());
  answer::failed(path.text(), outcome.error);
}

// Where an archive of all that is there would surely fail, that is the end.
void check_readable(const Place& place, const char* path, os::ArchiveOutcome& outcome) {
  const int dir = S_ISDIR(place.status.st_mode) ? os::open_directory(place.dir, place.name.data()) : -ENOTDIR;
  if (dir < 0) return;  // as will be said of it
  Readable walk(outcome);
  (void)walk.walk(dir);
  (void)::close(dir);
  if (outcome.error != 0) end(path, outcome);
}

void pack_place(const Place& place, const char* path, os::ArchiveWriter& writer, os::ArchiveEvents& events,
                os::ArchiveOutcome& outcome) {
  if (S_ISDIR(place.status.st_mode)) {
    const int dir = os::open_directory(place.dir, place.name.data());
    if (dir < 0) answer::failed(path, -dir);
    os::write_tree(dir, writer, events, outcome);
  } else if (S_ISREG(place.status.st_mode)) {
    const int file = ::openat(place.dir, place.name.data(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status {};
    if (file < 0 || ::fstat(file, &status) < 0) answer::failed(path, errno);
    if (!S_ISREG(status.st_mode)) answer::failed(path, ENOTSUP);
    if (os::is_mostly_holes(status)) answer::failed(path, EFBIG);
    os::write_file(file, place.name.data(), writer, events, outcome);
  } else {
    answer::failed(path, ENOTSUP);
  }
  if (outcome.error == 0) outcome.error = writer.finish();
}

// `staged`: where the archive was kept meanwhile.
[[noreturn]] void extract(const char* path, const Owner& owner, os::ArchiveReader& reader,
                          os::AtomicFile* staged = nullptr) {
  static os::ArchiveOutcome outcome;
  UnpackEvents events(owner);
  os::extract_tree(open_directory_or_fail(path), reader, events, outcome);
  if (staged != nullptr) staged->discard();
  end(path, outcome);
}

// A zip archive's directory is at its end: all of it is kept, in a file without a name below `path`, until it is
// taken apart.
[[noreturn]] void extract_zip(const char* path, const Owner& owner, os::ArchiveSource& source) {
  static std::array<char, 64 * 1024> octets;
  static os::AtomicFile whole(open_directory_or_fail(path));
  int error = whole.open(0600);
  for (ssize_t n = 1; error == 0 && n != 0;) {
    n = source.read(octets.data(), octets.size());
    if (n < 0 && errno == EINTR) continue;
    error = n < 0 ? errno : os::write_exactly(whole.fd(), octets.data(), static_cast<std::size_t>(n));
  }
  if (error != 0) {
    whole.discard();
    answer::failed(path, error);
  }
  static ZipReader reader(whole.fd());
  extract(path, owner, reader, &whole);
}

}  // namespace

void file_pack(char* const* args) {
  static os::ArchiveOutcome outcome;
  RecordSink sink;
  PackEvents events(*args[1] == '1');
  const Place place = find_target(args[0]);
  if (!place.exists) answer::failed(args[0], ENOENT);
  if (*args[1] != '1') check_readable(place, args[0], outcome);
  if (args[2] == std::string_view("zip")) {
    static ZipWriter writer(sink);
    pack_place(place, args[0], writer, events, outcome);
  } else {
    os::TarWriter writer(sink);
    pack_place(place, args[0], writer, events, outcome);
  }
  end(args[0], outcome);
}

void file_unpack(char* const* args) {
  static ChunkSource source;
  const Owner owner = parse_owner(args[2]);
  struct stat status {};
  if (::stat(args[0], &status) < 0) {
    int error = make_parent_directories(args[0], owner);
    const bool is_made = error == 0 && ::mkdir(args[0], 0755) == 0;
    if (error == 0 && !is_made && errno != EEXIST) error = errno;
    if (is_made) error = give_at(AT_FDCWD, args[0], owner);
    if (error != 0) answer::failed(args[0], error);
  }
  const std::string_view format = args[1];
  if (format == "zip") extract_zip(args[0], owner, source);
  static ZstdSource plain(source);
  static os::TarReader reader(format == "tar.zst" ? static_cast<os::ArchiveSource&>(plain) : source);
  extract(args[0], owner, reader);
}

}  // namespace lmsb::guest
