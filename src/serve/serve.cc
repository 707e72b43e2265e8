#include "serve/serve.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <grp.h>
#include <iterator>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "launcher/parent.h"
#include "serve/daemon.h"

namespace lmsb::serve {
namespace {

constexpr const char* kDaemonUser = "lm-sandbox";

int report(const Error& error) {
  std::fprintf(stderr, "lm-sandbox: %s%s%s\n", error.message().c_str(), error.hint().empty() ? "" : ": ",
               error.hint().c_str());
  return 1;
}

std::string own_path() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

// A program of ours: beside this one, or where `make install` puts what users do not call.
Result<std::string> find_program(const std::string& name) {
  const std::filesystem::path beside = std::filesystem::path(own_path()).parent_path();
  for (const auto& path : {beside / name, beside / "../libexec/lm-sandbox" / name})
    if (::access(path.c_str(), X_OK) == 0) return path.lexically_normal().string();
  return Error(ErrorCode::not_found, "program " + name + " is not beside " + own_path())
      .with_hint("install lm-sandbox again");
}

// The configuration may be readable by root alone: the daemon gets a copy in memory.
Result<std::string> copy_for_daemon(const std::string& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const int copy = static_cast<int>(::memfd_create("lm-sandbox-config", 0));
  if (copy < 0 || ::write(copy, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return Error::from_errno(errno, "copy the configuration " + path);
  return "/proc/self/fd/" + std::to_string(copy);  // stays open across both execs
}

// Many sandboxes mean many descriptors.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);  // less is no error: launches then say what is missing
}

Result<std::vector<std::string>> launcher_command(const std::vector<std::string>& arguments,
                                                  const ServeArguments& parsed, const config::Config& config) {
  LMSB_TRY(const std::string launcher_program, find_program("lm-sandbox-launcher"));
  LMSB_TRY(const std::string guest_program, find_program("lm-sandbox-guest"));
  const passwd* user = ::getpwnam(kDaemonUser);
  const uid_t uid = user != nullptr ? user->pw_uid : launcher::kDaemonId;
  const gid_t gid = user != nullptr ? user->pw_gid : launcher::kDaemonId;
  std::vector<std::string> command = {launcher_program,    "--data-dir",   config.data_dir,    "--run-dir",
                                      config.run_dir,      "--guest",      guest_program,      "--daemon-uid",
                                      std::to_string(uid), "--daemon-gid", std::to_string(gid)};
  if (const group* socket_group = ::getgrnam(config.socket_group.c_str()); socket_group != nullptr)
    command.insert(command.end(), {"--socket-gid", std::to_string(socket_group->gr_gid)});
  if (parsed.die_with_parent) command.emplace_back("--die-with-parent");
  for (const char* fixed : {"--", "", "serve"}) command.emplace_back(fixed);
  command[command.size() - 2] = own_path();
  command.insert(command.end(), arguments.begin(), arguments.end());
  for (const std::string& file : parsed.sources.files) {
    const std::string path = file.starts_with('!') ? file.substr(1) : file;
    if (::access(path.c_str(), R_OK) != 0) continue;
    LMSB_TRY(const std::string copy, copy_for_daemon(path));
    command.insert(command.end(), {"--config-copy", copy});
  }
  return command;
}

int become_launcher(const std::vector<std::string>& arguments) {
  if (::geteuid() != 0)
    return report(Error(ErrorCode::permission_denied,
                        "serve needs root: sandboxes are made by a small privileged launcher (the daemon itself runs "
                        "without privilege)")
                      .with_hint("run: sudo lm-sandbox serve"));
  const auto parsed = parse_arguments(arguments);
  if (!parsed.ok()) return report(parsed.error());
  const auto loaded = config::load(parsed->sources);
  if (!loaded.ok()) return report(loaded.error());
  for (const std::string& warning : loaded->warnings)
    std::fprintf(stderr, "lm-sandbox: warning: %s\n", warning.c_str());
  raise_descriptor_limit();
  const auto command = launcher_command(arguments, *parsed, loaded->config);
  if (!command.ok()) return report(command.error());
  std::vector<char*> argv;
  for (const std::string& argument : *command) argv.push_back(const_cast<char*>(argument.c_str()));  // NOLINT: execv
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  return report(Error::from_errno(errno, "execute " + (*command)[0]));
}

}  // namespace

int main_serve(const std::vector<std::string>& arguments) {
  const char* launcher_fd = std::getenv(launcher::kLauncherFdVariable);
  if (launcher_fd == nullptr) return become_launcher(arguments);
  UniqueFd launcher(std::atoi(launcher_fd));
  (void)::fcntl(launcher.get(), F_SETFD, FD_CLOEXEC);
  ::unsetenv(launcher::kLauncherFdVariable);
  const auto parsed = parse_arguments(arguments);
  if (!parsed.ok()) return report(parsed.error());
  auto loaded = config::load(parsed->sources);
  if (!loaded.ok()) return report(loaded.error());
  if (parsed->is_socket_only) loaded->config.listen.clear();
  const Status ended = run_daemon(loaded->config, parsed->ready_fd, std::move(launcher));
  return ended.ok() ? 0 : report(ended.error());
}

}  // namespace lmsb::serve
