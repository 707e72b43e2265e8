#include "guest/archiver.h"

#include <cerrno>
#include <csignal>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "guest/disk_pack.h"
#include "guest/disk_unpack.h"
#include "guest/posture.h"
#include "guest/zstd_source.h"
#include "os/atomic_file.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

using guest_protocol::ArchiveFd;
using guest_protocol::ArchiveReport;
using guest_protocol::ArchiveSetup;
using guest_protocol::ArchiveWay;

constexpr std::uint64_t bit(unsigned capability) { return std::uint64_t{1} << capability; }
constexpr std::uint64_t kToRead = bit(CAP_DAC_READ_SEARCH);
constexpr std::uint64_t kToWrite = bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER) | bit(CAP_FSETID);

class FdSink final : public os::ArchiveSink {
 public:
  explicit FdSink(int fd) : fd_(fd) {}
  int write(const void* data, std::size_t size) override {
    return os::write_exactly(fd_, static_cast<const char*>(data), size);
  }

 private:
  int fd_;
};

class FdSource final : public os::ArchiveSource {
 public:
  explicit FdSource(int fd) : fd_(fd) {}
  ssize_t read(void* data, std::size_t size) override { return ::read(fd_, data, size); }

 private:
  int fd_;
};

// The launcher's tiny tree is let go: nothing but the disk is left.
int enter_disk(int disk) {
  if (const int error = unshare_namespaces(); error != 0) return error;
  if (const int error = leave_session_keyring(); error != 0) return error;
  if (sys::move_mount(disk, "", AT_FDCWD, "/root", sys::kMoveMountFEmptyPath) < 0) return errno;
  if (::fchdir(disk) < 0 || sys::pivot_root(".", ".") < 0 || ::umount2(".", MNT_DETACH) < 0) return errno;
  return ::chdir("/") < 0 ? errno : 0;
}

constexpr std::uint64_t kOpenFiles = 16384;  // a walk holds one for each directory that it is in

int give_up_power(const ArchiveSetup& setup, int filter) {
  ::umask(0);
  (void)::signal(SIGPIPE, SIG_IGN);
  (void)::signal(SIGXFSZ, SIG_IGN);
  int error = limit_resource(RLIMIT_CORE, 1, 1);
  if (error == 0) error = limit_resource(RLIMIT_NOFILE, kOpenFiles, kOpenFiles);
  constexpr std::uint64_t kLargest = guest_protocol::kMaxFileBytes;  // the disk's limit is of what is not a hole
  if (error == 0 && setup.way == ArchiveWay::in) error = limit_resource(RLIMIT_FSIZE, kLargest, kLargest);
  if (error == 0) error = keep_capabilities(setup.way == ArchiveWay::out ? kToRead : kToWrite);
  if (error == 0) error = no_new_privs();
  return error == 0 ? install_seccomp_from(filter) : error;
}

void write_stream(int root, int stream, ArchiveReport& report, DiskProblem& problem) {
  static FdSink sink(stream);
  static DiskTarWriter writer(sink);
  pack_disk(root, writer, problem);
  report.members = writer.members();
  report.bytes = writer.bytes();
}

void read_stream(int root, int stream, std::uint64_t max_members, ArchiveReport& report, DiskProblem& problem) {
  static FdSource packed(stream);
  static ZstdSource source(packed);
  static DiskTarReader reader(source);
  unpack_disk(root, reader, max_members, problem);
  report.members = reader.members();
  report.bytes = reader.bytes();
}

}  // namespace

ArchiveReport run_archiver(const ArchiveSetup& setup, ReceivedFds& fds) {
  static DiskProblem problem;
  ArchiveReport report;
  const auto fd = [&fds](ArchiveFd which) { return fds.fds[static_cast<std::size_t>(which)].get(); };
  const bool is_whole = setup.magic == guest_protocol::kArchiveMagic &&
                        setup.version == guest_protocol::kArchiveVersion &&
                        fds.count == static_cast<std::size_t>(ArchiveFd::count) && setup.way <= ArchiveWay::in;
  report.error = is_whole ? 0 : EPROTO;
  if (report.error == 0) report.error = enter_disk(fd(ArchiveFd::disk));
  if (report.error == 0) report.error = give_up_power(setup, fd(ArchiveFd::filter));
  if (report.error != 0) return report;
  const UniqueFd root(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    problem.note("disk", errno);
  } else if (setup.way == ArchiveWay::out) {
    write_stream(root.get(), fd(ArchiveFd::stream), report, problem);
  } else {
    read_stream(root.get(), fd(ArchiveFd::stream), setup.max_members, report, problem);
  }
  report.error = problem.error;
  const std::string_view at = problem.path.text().substr(0, report.path.size());
  (void)at.copy(report.path.data(), report.path.size());
  report.path_size = static_cast<std::uint32_t>(at.size());
  return report;
}

}  // namespace lmsb::guest
