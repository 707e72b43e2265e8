#include "image/child.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "image/store.h"
#include "os/files.h"
#include "os/sys.h"
#include "os/usual_signals.h"

namespace lmsb::image {
namespace {

using Kind = ChildOptions::Kind;

// The steps between fork and exec; the number travels to the parent when one fails.
enum class Step : int { name_spaces, maps, identity, directory, descriptors, exec };
constexpr std::array<const char*, 6> kStepNames = {"make private mounts", "wait for the id maps", "become root inside",
                                                   "enter the directory", "set up descriptors",   "execute"};

struct Failure {
  Step step;
  int error;
};

// All that the child needs, made before the fork.
struct Prepared {
  const ChildOptions& options;
  std::vector<char*> argv;
  std::vector<char*> env;
  UniqueFd null;
  int go;      // read end: one byte when the id maps are written
  int report;  // write end: a Failure, or closed by exec
  int parent;  // pidfd of who starts it
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const auto& text : strings)
    result.push_back(const_cast<char*>(text.c_str()));  // NOLINT(cppcoreguidelines-pro-type-const-cast): exec's type
  result.push_back(nullptr);
  return result;
}

// After fork: no allocation, no locks, in everything up to run_child.

bool private_mounts(int directory) {
  // The working directory goes along into the new namespace; a descriptor would not.
  if (::fchdir(directory) < 0 || ::unshare(CLONE_NEWNS) < 0) return false;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return false;
  if (::mount(".", "/tmp", nullptr, MS_BIND, nullptr) < 0 || ::chdir("/") < 0) return false;
  return ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

bool await_maps(int go) {
  char byte = 0;
  ssize_t got = 0;
  do got = ::read(go, &byte, 1);
  while (got < 0 && errno == EINTR);
  return got == 1;
}

// As os::end_with_parent() for one whose parent is outside of its PID namespace, and has no number there. What ends the
// parent holds the lock of all processes until all of it is done, and setsid() waits for that.
bool ends_with(int parent) {
  pollfd ended{parent, POLLIN, 0};
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return false;
  (void)::setsid();  // fails where it was done before
  return ::poll(&ended, 1, 0) == 0;
}

bool become_root_inside(int parent) {
  return ::setresgid(0, 0, 0) == 0 && ::setgroups(0, nullptr) == 0 && ::setresuid(0, 0, 0) == 0 &&
         ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ends_with(parent);
}

bool has_maps(const ChildOptions& options) { return options.kind == Kind::unpack || options.is_of_user; }

bool put_descriptors(const Prepared& prepared) {
  const auto& options = prepared.options;
  const auto or_null = [&](BorrowedFd fd) { return fd.get() < 0 ? prepared.null.get() : fd.get(); };
  // Sources are above 2 (the caller's own 0, 1, 2 are open), so that no dup2 overwrites a later source.
  if (::dup2(or_null(options.input), 0) < 0 || ::dup2(or_null(options.output), 1) < 0) return false;
  if (options.errors.get() != 2 && ::dup2(options.errors.get(), 2) < 0) return false;
  return sys::close_range(3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) == 0;
}

[[noreturn]] void fail(const Prepared& prepared, Step step) {
  const Failure failure{step, errno};
  (void)!::write(prepared.report, &failure, sizeof failure);
  ::_exit(127);
}

[[noreturn]] void run_child(const Prepared& prepared) {
  const auto& options = prepared.options;
  if (!ends_with(prepared.parent)) ::_exit(127);
  os::set_usual_signals();
  ::umask(022);
  if (options.kind == Kind::unpack && ::fchdir(options.directory.get()) < 0) fail(prepared, Step::directory);
  if (has_maps(options) && !await_maps(prepared.go)) fail(prepared, Step::maps);
  if (has_maps(options) && !become_root_inside(prepared.parent)) fail(prepared, Step::identity);
  if (options.kind == Kind::make_system && !private_mounts(options.directory.get())) fail(prepared, Step::name_spaces);
  if (!put_descriptors(prepared)) fail(prepared, Step::descriptors);
  ::execve(prepared.argv[0], prepared.argv.data(), prepared.env.data());
  fail(prepared, Step::exec);
}

std::uint64_t clone_flags(const ChildOptions& options) {
  if (options.kind == Kind::unpack) return CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC;
  // The mount namespace follows: private_mounts().
  return options.is_of_user ? CLONE_NEWPID | CLONE_NEWUSER : CLONE_NEWPID;
}

Status write_maps(pid_t pid, std::uint32_t ids) {
  const std::string map = "0 " + std::to_string(kImageRangeBase) + " " + std::to_string(ids);
  const std::string process = "/proc/" + std::to_string(pid);
  LMSB_CHECK(os::write_text(process + "/uid_map", map));
  return os::write_text(process + "/gid_map", map);
}

// Reads the report: nothing when exec closed it.
Status await_exec(int report, const std::string& program) {
  Failure failure{};
  ssize_t got = 0;
  do got = ::read(report, &failure, sizeof failure);
  while (got < 0 && errno == EINTR);
  if (got == 0) return {};
  const auto step = static_cast<std::size_t>(failure.step);
  const char* name = got == sizeof failure && step < kStepNames.size() ? kStepNames.at(step) : "start";
  return Error::from_errno(failure.error, "run " + program + ": " + name);
}

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return Error::from_errno(errno, "make a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

int milliseconds_until(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000'000));
}

Result<Child> Child::start(const ChildOptions& options) {
  LMSB_TRY(auto go, make_pipe());
  LMSB_TRY(auto report, make_pipe());
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return Error::from_errno(errno, "open /dev/null");
  const UniqueFd self(sys::pidfd_open(::getpid()));
  if (!self) return Error::from_errno(errno, "pidfd_open");
  const Prepared prepared{options,         pointers(options.argv), pointers(options.env),
                          std::move(null), go.read.get(),          report.write.get(),
                          self.get()};
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD | clone_flags(options);
  args.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);  // NOLINT(cppcoreguidelines-pro-type-reinterpret-cast)
  args.exit_signal = SIGCHLD;
  const pid_t pid = sys::clone3(args);
  if (pid == 0) run_child(prepared);
  if (pid < 0) return Error::from_errno(errno, "run " + options.argv[0]);
  Child child(pid, UniqueFd(pidfd));
  report.write.reset();
  if (has_maps(options)) {
    LMSB_CHECK(write_maps(pid, options.ids));
    if (::write(go.write.get(), "", 1) != 1) return Error::from_errno(errno, "run " + options.argv[0]);
  }
  LMSB_CHECK(await_exec(report.read.get(), options.argv[0]));
  return child;
}

Child::~Child() {
  if (pid_ < 0) return;
  sys::pidfd_send_signal(pidfd_.get(), SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Result<bool> Child::wait(Deadline deadline) {
  pollfd ready{pidfd_.get(), POLLIN, 0};
  int count = 0;
  do count = ::poll(&ready, 1, milliseconds_until(deadline));
  while (count < 0 && errno == EINTR);
  if (count == 0) return Error(ErrorCode::deadline_exceeded, "it did not end in time");
  int status = 0;
  if (::waitpid(pid_, &status, 0) < 0) return Error::from_errno(errno, "wait");
  pid_ = -1;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace lmsb::image
