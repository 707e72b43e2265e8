// pack, unpack: tar archives.
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/file_answer.h"
#include "guest/file_places.h"
#include "guest/file_program.h"
#include "os/tar_tree.h"

namespace lmsb::guest {
namespace {

class RecordSink final : public os::TarSink {
 public:
  int write(const void* data, std::size_t size) override {
    answer::data(data, size);
    return 0;
  }
};

class ChunkSource final : public os::TarSource {
 public:
  ssize_t read(void* data, std::size_t size) override { return input_.read(data, size); }

 private:
  ChunkInput input_;
};

class PackEvents final : public os::TarEvents {
 public:
  explicit PackEvents(bool skip) : skip_(skip) {}
  // Sockets and devices are of no use elsewhere: that they are left out is in the contract.
  bool skipped(std::string_view, int error) override { return skip_ || error == ENOTSUP; }

 private:
  bool skip_;
};

class UnpackEvents final : public os::TarEvents {
 public:
  bool skipped(std::string_view path, int error) override {
    answer::skipped(path, error);
    return true;
  }
};

// A message names the whole path.
[[noreturn]] void end(const char* top, const os::TarOutcome& outcome) {
  if (outcome.error == 0) answer::done(outcome.members, outcome.bytes);
  static os::PathBuffer path;
  path.cut(0);
  (void)path.push(top);
  if (outcome.at.size() > 0) (void)path.push(outcome.at.text());
  answer::failed(path.text(), outcome.error);
}

}  // namespace

void file_pack(char* const* args) {
  static os::TarOutcome outcome;
  RecordSink sink;
  os::TarWriter writer(sink);
  PackEvents events(*args[1] == '1');
  const Place place = find_target(args[0]);
  if (!place.exists) answer::failed(args[0], ENOENT);
  if (S_ISDIR(place.status.st_mode)) {
    const int dir = os::open_directory(place.dir, place.name.data());
    if (dir < 0) answer::failed(args[0], -dir);
    os::write_tree(dir, writer, events, outcome);
  } else if (S_ISREG(place.status.st_mode)) {
    const int file = ::openat(place.dir, place.name.data(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status {};
    if (file < 0 || ::fstat(file, &status) < 0) answer::failed(args[0], errno);
    if (!S_ISREG(status.st_mode)) answer::failed(args[0], ENOTSUP);
    os::write_file(file, place.name.data(), writer, events, outcome);
  } else {
    answer::failed(args[0], ENOTSUP);
  }
  if (outcome.error == 0) outcome.error = writer.finish();
  end(args[0], outcome);
}

void file_unpack(char* const* args) {
  static os::TarOutcome outcome;
  ChunkSource source;
  static os::TarReader reader(source);
  UnpackEvents events;
  struct stat status {};
  if (::stat(args[0], &status) < 0) {
    const int error = make_parent_directories(args[0]);
    if (error != 0 || (::mkdir(args[0], 0755) < 0 && errno != EEXIST))
      answer::failed(args[0], error != 0 ? error : errno);
  }
  os::extract_tree(open_directory_or_fail(args[0]), reader, events, outcome);
  end(args[0], outcome);
}

}  // namespace lmsb::guest
