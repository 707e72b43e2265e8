#include "guest/become.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/command.h"
#include "guest/file_program.h"
#include "guest/port_list.h"
#include "guest/posture.h"
#include "guest/terminal.h"
#include "os/message_socket.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

using guest_protocol::Program;
using guest_protocol::StartRequest;
using guest_protocol::Step;

constexpr int kSocketFd = 3;
constexpr const char* kDefaultPath = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

// One request with its body; only the pages used are ever touched.
alignas(StartRequest) std::array<char, sizeof(StartRequest) + guest_protocol::kMaxBody> request;  // NOLINT

[[noreturn]] void give_up(int socket, Step step, int error) {
  const BecomeFailure failure{step, error};
  const iovec part{const_cast<BecomeFailure*>(&failure), sizeof failure};  // NOLINT: C interface
  (void)send_message(socket, &part, 1);
  ::_exit(127);
}

// Takes `count` NUL-terminated strings from [at, end) into `list`.
bool take_strings(char*& at, char* end, std::uint32_t count, std::array<char*, 2049>& list) {
  if (count >= list.size()) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    list[i] = at;
    at = static_cast<char*>(std::memchr(at, '\0', static_cast<std::size_t>(end - at)));
    if (at == nullptr) return false;
    ++at;
  }
  list[count] = nullptr;
  return true;
}

const char* find_variable(char* const* envp, const char* name) {
  const std::size_t length = std::strlen(name);
  for (; *envp != nullptr; ++envp)
    if (std::strncmp(*envp, name, length) == 0 && (*envp)[length] == '=') return *envp + length + 1;
  return nullptr;
}

int execute_shell(ParsedStart& parsed) {
  static char bash[] = "/bin/bash";  // NOLINT: execve wants char*
  static char sh[] = "/bin/sh";      // NOLINT
  parsed.argv[0] = bash;
  ::execve(bash, parsed.argv.data(), parsed.envp.data());
  if (errno != ENOENT) return errno;
  parsed.argv[0] = sh;
  ::execve(sh, parsed.argv.data(), parsed.envp.data());
  return errno;
}

// stdin is the descriptor that came with the request, else nothing to read; a second one is stdout. A terminal is
// stdout and stderr, too.
int take_stdio(ReceivedFds& fds, const ParsedStart& parsed) {
  if (parsed.has_terminal) return fds.count > 0 ? take_terminal(fds.fds[0].get()) : ENOTTY;
  if (fds.count > 1 && ::dup2(fds.fds[1].get(), 1) < 0) return errno;
  if (parsed.merges_stderr && ::dup2(1, 2) < 0) return errno;
  if (fds.count > 0) return ::dup2(fds.fds[0].get(), 0) < 0 ? errno : 0;
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null) return errno;
  return ::dup2(null.get(), 0) < 0 ? errno : 0;
}

// Past its soft limit of time a process gets a signal that it may handle.
int limit_process(const guest_protocol::ProcessLimits& limits) {
  struct Wanted {
    int resource;
    std::uint64_t soft, hard;
  };
  const std::array<Wanted, 4> all = {{{RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1},
                                      {RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes},
                                      {RLIMIT_NOFILE, limits.open_files, limits.open_files},
                                      {RLIMIT_AS, limits.memory_bytes, limits.memory_bytes}}};
  for (const Wanted& limit : all) {
    if (limit.soft == 0) continue;
    if (const int error = limit_resource(limit.resource, limit.soft, limit.hard); error != 0) return error;
  }
  return 0;
}

[[noreturn]] void run_program(ParsedStart& parsed, int socket) {
  switch (parsed.program) {
    case Program::exec:
      give_up(socket, Step::command_exec, execute(parsed.argv[0], parsed.argv.data(), parsed.envp.data()));
    case Program::shell: give_up(socket, Step::command_exec, execute_shell(parsed));
    case Program::put: ::_exit(run_put());
    case Program::get: ::_exit(run_get(parsed.argv.data()));
    case Program::save: ::_exit(parsed.argv[1] == nullptr ? EINVAL : run_save(parsed.argv[0], parsed.argv[1]));
    case Program::connect: ::_exit(run_connect(parsed.argv[0]));
    case Program::files: run_files(parsed.argv.data());
    case Program::ports: ::_exit(run_ports());
  }
  give_up(socket, Step::command_exec, EINVAL);
}

}  // namespace

bool parse_start(char* buffer, std::size_t size, ParsedStart& parsed) {
  StartRequest header{};
  if (size < sizeof header) return false;
  std::memcpy(&header, buffer, sizeof header);
  if (header.body_size != size - sizeof header || header.body_size > guest_protocol::kMaxBody) return false;
  if (header.program > Program::ports || header.argc == 0) return false;
  parsed.program = header.program;
  parsed.has_terminal = header.columns != 0;
  parsed.merges_stderr = header.merge_stderr != 0;
  parsed.limits = header.limits;
  parsed.as_user = header.as_user != 0;
  char* at = buffer + sizeof header;
  if (header.note_size > header.body_size) return false;
  char* const end = buffer + size - header.note_size;
  if (!take_strings(at, end, header.argc, parsed.argv)) return false;
  if (!take_strings(at, end, header.envc, parsed.envp)) return false;
  std::array<char*, 2049> rest{};
  if (!take_strings(at, end, 1, rest)) return false;
  parsed.cwd = rest[0];
  return at == end;
}

int execute(const char* name, char* const* argv, char* const* envp) {
  if (*name == '\0') return ENOENT;
  if (std::strchr(name, '/') != nullptr) {
    ::execve(name, argv, envp);
    return errno;
  }
  int error = ENOENT;
  const char* path = find_variable(envp, "PATH");
  if (path == nullptr) path = kDefaultPath;
  std::array<char, 4096> full{};
  while (*path != '\0') {
    const std::size_t length = std::strcspn(path, ":");
    if (length + std::strlen(name) + 2 <= full.size()) {
      std::memcpy(full.data(), path, length);
      full[length] = '/';
      std::strcpy(&full[length + 1], name);  // NOLINT: the bound stands above
      ::execve(full.data(), argv, envp);
      if (errno != ENOENT && errno != ENOTDIR) error = errno;
    }
    path += length + (path[length] == ':' ? 1 : 0);
  }
  return error;
}

int raise_oom_score(int proc) {
  const UniqueFd file(::openat(proc, "self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (!file) return errno;
  return ::write(file.get(), "500", 3) == 3 ? 0 : errno;
}

void become_command(int socket, guest_protocol::Profile profile) {
  ReceivedFds fds;
  const ssize_t size = receive_message(socket, request.data(), request.size(), fds);
  if (size <= 0) ::_exit(0);  // the guest is done with this standby
  static ParsedStart parsed;
  if (!parse_start(request.data(), static_cast<std::size_t>(size), parsed)) give_up(socket, Step::command_exec, EINVAL);
  if (const int error = take_stdio(fds, parsed); error != 0) give_up(socket, Step::command_stdio, error);
  if (const int error = become_command_user(profile, parsed.as_user); error != 0)
    give_up(socket, Step::command_ids, error);
  // The socket stays until exec, which closes it: that is how success is told.
  if (::dup3(socket, kSocketFd, O_CLOEXEC) < 0 && socket != kSocketFd) give_up(socket, Step::command_stdio, errno);
  if (sys::close_range(kSocketFd + 1, ~0U, 0) < 0) give_up(kSocketFd, Step::command_stdio, errno);
  for (std::size_t i = 0; i < fds.count; ++i) (void)fds.fds[i].release();  // closed just now
  if (::chdir(parsed.cwd) < 0) give_up(kSocketFd, Step::command_cwd, errno);
  ::umask(022);
  if (const int error = limit_process(parsed.limits); error != 0) give_up(kSocketFd, Step::command_limits, error);
  run_program(parsed, kSocketFd);
}

}  // namespace lmsb::guest
