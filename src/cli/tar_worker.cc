#include "cli/tar_worker.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/archive_tree.h"
#include "os/atomic_file.h"
#include "os/tar.h"

namespace lmsb::cli {
namespace {

constexpr std::size_t kMaxNotes = 200;

class SocketSink final : public os::ArchiveSink {
 public:
  explicit SocketSink(int fd) : fd_(fd) {}
  int write(const void* data, std::size_t size) override { return os::write_exactly(fd_, data, size); }

 private:
  int fd_;
};

class SocketSource final : public os::ArchiveSource {
 public:
  explicit SocketSource(int fd) : fd_(fd) {}
  ssize_t read(void* data, std::size_t size) override {
    ssize_t n = 0;
    do n = ::read(fd_, data, size);
    while (n < 0 && errno == EINTR);
    return n;
  }

 private:
  int fd_;
};

// What is no file, directory or link is left out; anything else that fails is the end.
class Notes final : public os::ArchiveEvents {
 public:
  explicit Notes(std::vector<std::string>& left_out) : left_out_(left_out) {}
  bool skipped(std::string_view path, int error) override {
    if (error != ENOTSUP) {
      failed = error;
      at = path;
      return false;
    }
    if (left_out_.size() < kMaxNotes) left_out_.emplace_back(path);
    return true;
  }
  int failed = 0;
  std::string at;

 private:
  std::vector<std::string>& left_out_;
};

Status status_of(const os::ArchiveOutcome& outcome, const Notes& notes, const std::string& what) {
  if (notes.failed != 0) return Error::from_errno(notes.failed, what + " " + notes.at);
  if (outcome.error == 0) return {};
  return Error::from_errno(outcome.error, what + " " + std::string(outcome.at.text()));
}

Result<UniqueFd> open_directory(const std::string& path, bool follow) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW)));
  if (fd) return fd;
  return Error::from_errno(errno, "open the directory " + path);
}

}  // namespace

void TarWorker::pack_now(Shared& shared) {
  SocketSink sink(shared.theirs.get());
  os::TarWriter writer(sink);
  Notes notes(shared.left_out);
  const auto outcome = std::make_unique<os::ArchiveOutcome>();
  os::write_tree(shared.directory.get(), writer, notes, *outcome);
  shared.outcome = status_of(*outcome, notes, "read");
  const int ended = shared.outcome.ok() ? writer.finish() : 0;
  if (ended != 0) shared.outcome = Error::from_errno(ended, "pass on the archive");
}

void TarWorker::unpack_now(Shared& shared) {
  SocketSource source(shared.theirs.get());
  os::TarReader reader(source);
  Notes notes(shared.left_out);
  const auto outcome = std::make_unique<os::ArchiveOutcome>();
  os::extract_tree(shared.directory.get(), reader, notes, *outcome, shared.mask);
  shared.outcome = status_of(*outcome, notes, "write");
}

Result<TarWorker> TarWorker::begin(UniqueFd directory, void (*work)(Shared&), int how_to_end) {
  TarWorker worker;
  worker.how_to_end_ = how_to_end;
  worker.shared_ = std::make_unique<Shared>();
  worker.shared_->directory = std::move(directory);
  worker.shared_->mask = os::file_mode_mask();
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0)
    return Error::from_errno(errno, "make a socket");
  worker.ours_.reset(ends[0]);
  worker.shared_->theirs.reset(ends[1]);
  worker.thread_ = std::thread([work, shared = worker.shared_.get()] {
    work(*shared);
    shared->theirs.reset();
  });
  return worker;
}

Result<TarWorker> TarWorker::pack(const std::string& directory) {
  LMSB_TRY(auto opened, open_directory(directory, true));
  return begin(std::move(opened), pack_now, SHUT_RDWR);
}

Result<TarWorker> TarWorker::unpack(const std::string& directory, bool follow) {
  LMSB_TRY(auto opened, open_directory(directory, follow));
  return begin(std::move(opened), unpack_now, SHUT_WR);
}

TarWorker::~TarWorker() {
  ours_.reset();
  if (thread_.joinable()) thread_.join();
}

Status TarWorker::finish() {
  (void)::shutdown(ours_.get(), how_to_end_);
  if (thread_.joinable()) thread_.join();
  return shared_->outcome;
}

}  // namespace lmsb::cli
