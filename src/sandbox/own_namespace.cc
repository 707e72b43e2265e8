#include "sandbox/own_namespace.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/files.h"
#include "os/small_file.h"
#include "os/user_namespaces.h"

namespace lmsb::sandbox {
namespace {

// Fixed places: they have root's power, and PATH says nothing of who made them.
Result<std::string> find_mapper(const std::string& name) {
  for (const char* directory : {"/usr/bin/", "/bin/", "/usr/sbin/", "/usr/local/bin/"})
    if (const std::string path = directory + name; ::access(path.c_str(), X_OK) == 0) return path;
  return Error(ErrorCode::failed_precondition, "sandboxes without root need " + name + ", which is not installed")
      .with_hint("sudo apt-get install uidmap   (elsewhere it is part of shadow or shadow-utils)");
}

std::vector<std::string> words_of(const std::string& program, pid_t pid, const std::vector<IdExtent>& extents) {
  std::vector<std::string> words = {program, std::to_string(pid)};
  for (const IdExtent& extent : extents)
    for (const std::uint32_t number : {extent.inside, extent.outside, extent.count})
      words.push_back(std::to_string(number));
  return words;
}

// How mappers are told that the namespace is there. One that is told nothing ends.
struct Start {
  UniqueFd heard;
  UniqueFd said;
};

// A process that becomes `words` at the start.
Result<pid_t> start_mapper(std::vector<std::string> words, Start& start) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return Error::from_errno(errno, "fork");
  if (pid > 0) return pid;
  start.said.reset();
  char byte = 0;
  if (::read(start.heard.get(), &byte, 1) != 1) ::_exit(1);
  std::array<char*, 1> environment = {nullptr};
  ::execve(argv[0], argv.data(), environment.data());
  ::_exit(127);
}

Status wait_for(pid_t pid, const std::string& program) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return Error::from_errno(errno, "wait for " + program);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error(ErrorCode::failed_precondition, program + " could not map this user's subordinate ids")
      .with_hint("what it said stands above; it needs its set-user-ID bit, and a mount without nosuid");
}

// What the kernel counts for a user namespace, up to who made it: of what the user may have sandboxes get a half, so
// that they never take all of it from the user's other programs.
class Counts {
 public:
  // Outside: what the machine lets each user have.
  Counts() {
    for (const char* name : kNames)
      limits_.push_back(std::strtoull(os::read_text(place_of(name)).c_str(), nullptr, 10));
  }
  // Inside.
  Status halve() const {
    for (std::size_t i = 0; i < limits_.size(); ++i)
      LMSB_CHECK(os::write_text(place_of(kNames.at(i)), std::to_string(limits_[i] / 2)));
    return {};
  }

 private:
  static constexpr std::array<const char*, 2> kNames = {"max_inotify_instances", "max_inotify_watches"};
  static std::string place_of(const char* name) { return std::string("/proc/sys/user/") + name; }
  std::vector<unsigned long long> limits_;
};

// A profile's refusal is the only one that says EACCES: what is under one for another reason is not blamed on it.
Error no_namespace(int error) {
  const std::string action = "make a user namespace and a mount namespace in it";
  const auto profile = error == EACCES ? os::confinement_fault(os::read_small_file) : std::nullopt;
  if (!profile) return Error::from_errno(error, action);
  return Error::from_errno(error, action + ", under " + profile->what).with_hint(profile->mend);
}

}  // namespace

Status check_own_namespace() {
  for (const char* name : {"newuidmap", "newgidmap"}) LMSB_CHECK(find_mapper(name));
  // Strangers would be shown as somebody who is mapped; as the user, if that is 0.
  for (const char* path : {"/proc/sys/kernel/overflowuid", "/proc/sys/kernel/overflowgid"}) {
    const unsigned long overflow = std::strtoul(os::read_text(path).c_str(), nullptr, 10);
    if (overflow == 0 || overflow >= kImageRangeBase)
      return Error(ErrorCode::failed_precondition, std::string(path) + " is not an id of nobody's")
          .with_hint("set it to 65534, as the kernel does");
  }
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
    return Error(ErrorCode::failed_precondition,
                 "nothing that this process starts may gain power (no_new_privs), and "
                 "newuidmap has to")
        .with_hint("start lm-sandbox from a session, or a unit, without NoNewPrivileges");
  return {};
}

Status enter_own_namespace(const OwnIds& ids) {
  struct Mapper {
    std::string program;
    pid_t pid = -1;
  };
  std::array<Mapper, 2> mappers;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return Error::from_errno(errno, "pipe");
  Start start{UniqueFd(ends[0]), UniqueFd(ends[1])};
  const Counts counts;
  for (std::size_t i = 0; i < mappers.size(); ++i) {
    LMSB_TRY(mappers[i].program, find_mapper(i == 0 ? "newuidmap" : "newgidmap"));
    auto words = words_of(mappers[i].program, ::getpid(), i == 0 ? ids.users : ids.groups);
    LMSB_TRY(mappers[i].pid, start_mapper(std::move(words), start));
  }
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) return no_namespace(errno);
  if (::write(start.said.get(), "gg", mappers.size()) != static_cast<ssize_t>(mappers.size()))
    return Error::from_errno(errno, "let the ids be mapped");
  for (const Mapper& mapper : mappers) LMSB_CHECK(wait_for(mapper.pid, mapper.program));
  if (::setgroups(0, nullptr) < 0 || ::setresgid(0, 0, 0) < 0 || ::setresuid(0, 0, 0) < 0)
    return Error::from_errno(errno, "become root of the user namespace");
  return counts.halve();
}

}  // namespace lmsb::sandbox
