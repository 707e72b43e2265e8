#include "cli/tar_worker.h"

#include <array>
#include <cerrno>
#include <ctime>
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

// An archive's members, one after the other, below a directory of another name.
class Passing {
 public:
  Passing(os::TarReader& reader, os::TarWriter& writer, std::string name)
      : reader_(reader), writer_(writer), name_(std::move(name)) {}

  // Returns 0 or an errno.
  int pass_on_all(std::uint32_t mode) {
    os::ArchiveMember top;
    top.path = name_;
    top.type = os::MemberType::directory;
    top.mode = mode;
    top.mtime = ::time(nullptr);
    if (const int error = writer_.member(top); error != 0) return error;
    while (true) {
      os::ArchiveMember member;
      const int next = reader_.next(member);
      if (next <= 0) return next < 0 ? -next : end();
      if (const int error = pass_on(member); error != 0) return error;
    }
  }

 private:
  int pass_on(os::ArchiveMember member) {
    const std::string path = name_ + "/" + std::string(member.path);
    const std::string target = name_ + "/" + std::string(member.target);
    member.path = path;
    if (member.type == os::MemberType::hard_link) member.target = target;
    if (const int error = writer_.member(member); error != 0) return error;
    while (true) {
      const ssize_t n = reader_.read(piece_.data(), piece_.size());
      if (n <= 0) return static_cast<int>(-n);
      if (const int error = writer_.content(piece_.data(), static_cast<std::size_t>(n)); error != 0) return error;
    }
  }
  int end() {
    const int error = reader_.drain();
    return error != 0 ? error : writer_.finish();
  }

  os::TarReader& reader_;
  os::TarWriter& writer_;
  const std::string name_;
  std::array<char, 65'536> piece_{};
};

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
  shared.members = outcome->members;
  shared.bytes = outcome->bytes;
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
  shared.members = outcome->members;
  shared.bytes = outcome->bytes;
}

void TarWorker::pass_on_now(Shared& shared) {
  SocketSource source(shared.theirs.get());
  SocketSink sink(shared.out);
  os::TarReader reader(source);
  os::TarWriter writer(sink);
  const auto passing = std::make_unique<Passing>(reader, writer, shared.name);
  const int error = passing->pass_on_all(shared.mode);
  if (error != 0) shared.outcome = Error::from_errno(error, "pass on the archive");
}

Result<TarWorker> TarWorker::begin(std::unique_ptr<Shared> shared, void (*work)(Shared&), int how_to_end) {
  TarWorker worker;
  worker.how_to_end_ = how_to_end;
  worker.shared_ = std::move(shared);
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
  auto shared = std::make_unique<Shared>();
  LMSB_TRY(shared->directory, open_directory(directory, true));
  return begin(std::move(shared), pack_now, SHUT_RDWR);
}

Result<TarWorker> TarWorker::unpack(const std::string& directory, bool follow) {
  auto shared = std::make_unique<Shared>();
  LMSB_TRY(shared->directory, open_directory(directory, follow));
  return begin(std::move(shared), unpack_now, SHUT_WR);
}

Result<TarWorker> TarWorker::pass_on(int out, const std::string& name, std::uint32_t mode) {
  auto shared = std::make_unique<Shared>();
  shared->out = out;
  shared->name = name;
  shared->mode = mode;
  return begin(std::move(shared), pass_on_now, SHUT_WR);
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
