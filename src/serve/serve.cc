#include "serve/serve.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdi/find.h"
#include "http/listener.h"
#include "launcher/handed_files.h"
#include "launcher/parent.h"
#include "os/end_with_parent.h"
#include "os/memfd.h"
#include "os/small_file.h"
#include "sandbox/device_table.h"
#include "sandbox/launcher_client.h"
#include "serve/checks.h"
#include "serve/daemon.h"
#include "serve/default_image.h"
#include "serve/rootless.h"

namespace lmsb::serve {
namespace {

constexpr const char* kDaemonUser = "lm-sandbox";
using Words = std::vector<std::string>;

int report(const Error& error) {
  std::fprintf(stderr, "lm-sandbox: %s%s%s\n", error.message().c_str(), error.hint().empty() ? "" : "; ",
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

// Many sandboxes mean many descriptors.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);  // less is no error: launches then say what is missing
}

// What stage 1 hands to the programs that follow.
struct Prepared {
  std::string default_image;
  std::vector<int> listening;  // stay open across exec
  int devices = -1;            // the same: the table of the machine's; -1: it has none
  // Of a user's daemon, without root:
  std::string id_locks;     // "" = root starts it
  bool has_own_ids = true;  // a range for each sandbox of image host
};

// Opened by root: it sees who holds a port that is taken, and may take ports below 1024.
Result<std::vector<int>> open_listeners(const Words& addresses) {
  std::vector<int> fds;
  for (const std::string& address : addresses) {
    LMSB_TRY(http::Listener listener, http::make_tcp_listener(address));
    (void)::fcntl(listener.fd.get(), F_SETFD, 0);
    fds.push_back(listener.fd.release());
  }
  return fds;
}

// One table for daemon and launcher, whatever becomes of the files.
Result<int> find_devices(const config::Config& config) {
  const sandbox::DeviceTable table = cdi::find_devices(config.devices.cdi_dirs);
  for (const std::string& fault : table.faults) std::fprintf(stderr, "lm-sandbox: warning: %s\n", fault.c_str());
  if (table.is_empty() && table.faults.empty()) return -1;
  LMSB_TRY(UniqueFd file, os::make_sealed_memfd("lm-sandbox-devices", sandbox::format_table(table)));
  (void)::fcntl(file.get(), F_SETFD, 0);
  return file.release();
}

// A private daemon, which a command starts for itself, is no first start: it leaves the choice of an image open.
Result<std::string> settle_default_image(const config::Config& config, bool is_private) {
  LMSB_TRY(const DefaultImage image, find_default_image(config, try_stored_images()));
  LMSB_CHECK(check_binding(config, image.name));
  if (!image.is_chosen_now || is_private) return image.name;
  return fix_default_image(config.data_dir, image.name);
}

Result<Prepared> prepare(const ServeArguments& parsed, config::Config config) {
  if (parsed.is_socket_only) config.listen.clear();
  const std::string warning = warning_of_binding(config);
  if (!warning.empty()) std::fprintf(stderr, "lm-sandbox: warning: %s\n", warning.c_str());
  LMSB_CHECK(check_data_directory(config.data_dir));
  LMSB_CHECK(check_network(config));
  LMSB_CHECK(make_tls(config));  // to find out whether it can be
  Prepared prepared;
  LMSB_TRY(prepared.default_image, settle_default_image(config, parsed.die_with_parent));
  LMSB_TRY(prepared.listening, open_listeners(config.listen));
  return prepared;
}

void add(Words& command, const char* flag, const std::string& value) {
  command.emplace_back(flag);
  command.push_back(value);
}

// The parent and the launcher: what they work with.
Result<Words> launcher_words(const ServeArguments& parsed, const config::Loaded& loaded, const Prepared& prepared) {
  const config::Config& config = loaded.config;
  LMSB_TRY(const std::string launcher_program, find_program("lm-sandbox-launcher"));
  LMSB_TRY(const std::string guest_program, find_program("lm-sandbox-guest"));
  LMSB_TRY(const std::string archiver_program, find_program("lm-sandbox-archiver"));
  LMSB_TRY(const std::string gate_program, find_program("lm-sandbox-gate"));
  const bool is_rootless = !prepared.id_locks.empty();
  const passwd* user = is_rootless ? nullptr : ::getpwnam(kDaemonUser);
  Words words = {launcher_program};
  add(words, "--data-dir", config.data_dir);
  add(words, "--run-dir", config.run_dir);
  add(words, "--guest", guest_program);
  add(words, "--archiver", archiver_program);
  add(words, "--gate", gate_program);
  add(words, "--daemon-uid", std::to_string(user != nullptr ? user->pw_uid : launcher::kDaemonId));
  add(words, "--daemon-gid", std::to_string(user != nullptr ? user->pw_gid : launcher::kDaemonId));
  if (is_rootless) words.insert(words.end(), {"--rootless", "--id-locks", prepared.id_locks});
  if (const group* socket_group = is_rootless ? nullptr : ::getgrnam(config.socket_group.c_str()))
    add(words, "--socket-gid", std::to_string(socket_group->gr_gid));
  add(words, "--max-memory", std::to_string(config.policy.memory.count()));
  add(words, "--max-cpu-millis", std::to_string(static_cast<std::uint32_t>(config.policy.cpus * 1000)));
  add(words, "--max-processes", std::to_string(config.policy.processes));
  add(words, "--max-disk", std::to_string(config.policy.disk.count()));
  if (config.policy.root) words.emplace_back("--allow-root");
  add(words, "--disks", config.disks.kind);
  add(words, "--store-bytes", std::to_string(config.disks.store_size.count()));
  if (parsed.die_with_parent) add(words, "--die-with-parent", std::to_string(parsed.started_by));
  if (parsed.stop_sandboxes) words.emplace_back("--stop-sandboxes");
  for (const std::string& file : loaded.files) add(words, "--handed-file", file);
  for (const int fd : prepared.listening) add(words, "--daemon-fd", std::to_string(fd));
  if (prepared.devices >= 0) add(words, "--devices-fd", std::to_string(prepared.devices));
  if (parsed.ready_fd >= 0) add(words, "--ready-fd", std::to_string(parsed.ready_fd));
  return words;
}

// Stage 2: as this one was called, and what this one has found out.
Words daemon_words(const Words& arguments, const config::Loaded& loaded, const Prepared& prepared,
                   const Words& settings_files) {
  Words words = {own_path(), "serve"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  add(words, "--default-image", prepared.default_image);
  // The launcher's own, also for a daemon that is started again when the files of the settings say something else.
  add(words, "--data-dir", loaded.config.data_dir);
  add(words, "--run-dir", loaded.config.run_dir);
  add(words, "--disks", loaded.config.disks.kind);
  if (!prepared.id_locks.empty()) {
    words.emplace_back("--rootless");
    if (!prepared.has_own_ids) words.emplace_back("--shared-ids");
    for (const std::string& file : settings_files) add(words, "--settings", file);
  }
  for (const std::string& file : loaded.files) add(words, "--handed-file", file);
  for (const int fd : prepared.listening) add(words, "--listen-fd", std::to_string(fd));
  if (prepared.devices >= 0) add(words, "--devices-fd", std::to_string(prepared.devices));
  return words;
}

std::vector<char*> pointers(const Words& words) {
  std::vector<char*> all;
  for (const std::string& word : words) all.push_back(const_cast<char*>(word.c_str()));  // NOLINT: execve
  all.push_back(nullptr);
  return all;
}

Error become(const Words& words, const Words& environment) {
  ::execve(words[0].c_str(), pointers(words).data(), pointers(environment).data());
  return Error::from_errno(errno, "execute " + words[0]);
}

// The daemon's parts of a user get no more of the session than they need.
Words environment_of(const ServeArguments& parsed, bool is_root) {
  const Words& all = parsed.sources.environment;
  return is_root ? all : environment_for_daemon(all);
}

Status check_own_use(const ServeArguments& parsed) {
  if (parsed.handed_files.empty() && parsed.listen_fds.empty() && parsed.devices_fd < 0 &&
      parsed.starter == launcher::Starter::root)
    return {};
  return Error(ErrorCode::invalid_argument,
               "--handed-file, --listen-fd, --devices-fd and --rootless are for the program's own use")
      .with_hint("lm-sandbox serve --help lists the flags");
}

// From the first moment on, and through what this process becomes.
Status end_with_starter(ServeArguments& parsed) {
  if (!parsed.die_with_parent) return {};
  if (parsed.started_by == 0) parsed.started_by = ::getppid();
  if (os::end_with_parent(parsed.started_by, SIGTERM)) return {};
  return Error(ErrorCode::cancelled,
               "the program that started this daemon, process " + std::to_string(parsed.started_by) + ", has ended");
}

// A user's own settings are in a place of the user's.
void find_settings(ServeArguments& parsed, bool is_root) {
  if (!is_root && parsed.sources.files == Words{kSystemSettings})
    parsed.sources.files = {os::places_of_this_user().settings};
}

// What is the user's alone, and what that gives to sandboxes. For root: nothing.
Status go_rootless(const ServeArguments& parsed, const sandbox::OwnIds& ids, config::Loaded& loaded,
                   Prepared& prepared) {
  (void)::umask(077);
  const os::UserPlaces places = os::places_of_this_user();
  LMSB_CHECK(settle_places(loaded, places));
  LMSB_TRY(prepared.id_locks, make_id_locks(os::home_of_this_user()));
  for (const std::string& path : {loaded.config.run_dir, loaded.config.data_dir, prepared.id_locks})
    LMSB_CHECK(require_safe_ways(path));
  prepared.has_own_ids = ids.ranges > 0;
  if (!parsed.die_with_parent)
    std::fprintf(stderr,
                 "lm-sandbox: warning: without root sandboxes are weaker: docs/user/rootless.md, and `weaker` of "
                 "/v1/info, say in what\n");
  return {};
}

// Returns only when something is wrong.
Status become_launcher(const Words& arguments) {
  const bool is_root = ::geteuid() == 0;
  sandbox::OwnIds ids;
  if (is_root) {
    LMSB_CHECK(check_power(os::read_small_file));
  } else {
    LMSB_TRY(ids, check_rootless(os::read_small_file));
  }
  LMSB_TRY(ServeArguments parsed, parse_arguments(arguments));
  LMSB_CHECK(check_own_use(parsed));
  LMSB_CHECK(end_with_starter(parsed));
  find_settings(parsed, is_root);
  LMSB_TRY(config::Loaded loaded, config::load(parsed.sources));
  Prepared rootless;
  if (!is_root) LMSB_CHECK(go_rootless(parsed, ids, loaded, rootless));
  if (loaded.files.size() > launcher::kMaxHandedFiles)
    return Error(ErrorCode::invalid_argument, "the settings come from more than 32 files").with_hint("join some");
  for (const std::string& warning : loaded.warnings) std::fprintf(stderr, "lm-sandbox: warning: %s\n", warning.c_str());
  raise_descriptor_limit();
  LMSB_TRY(Prepared prepared, prepare(parsed, loaded.config));
  if (is_root) {  // to a user's sandboxes none can be given
    LMSB_TRY(prepared.devices, find_devices(loaded.config));
  }
  prepared.id_locks = rootless.id_locks;
  prepared.has_own_ids = rootless.has_own_ids;
  LMSB_TRY(Words words, launcher_words(parsed, loaded, prepared));
  words.emplace_back("--");
  const Words daemon = daemon_words(arguments, loaded, prepared, parsed.sources.files);
  words.insert(words.end(), daemon.begin(), daemon.end());
  return become(words, environment_of(parsed, is_root));
}

// The socket whose number the parent left in `variable`; nothing when it left none.
UniqueFd take_socket(const char* variable) {
  const char* number = std::getenv(variable);
  if (number == nullptr) return {};
  UniqueFd socket(std::atoi(number));
  (void)::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
  ::unsetenv(variable);
  return socket;
}

Status be_daemon(const Words& arguments, UniqueFd launcher) {
  ::prctl(PR_SET_NAME, "lm-sandbox");  // it may have been executed by a descriptor, whose number it is called by then
  UniqueFd files = take_socket(launcher::kFilesFdVariable);
  LMSB_TRY(ServeArguments parsed, parse_arguments(arguments));
  DaemonFds fds;
  fds.launcher = std::move(launcher);
  fds.ready.reset(parsed.ready_fd);
  fds.listening = parsed.listen_fds;
  LMSB_TRY(const sandbox::DeviceTable devices, sandbox::read_table(parsed.devices_fd));
  return run_daemon(Settings(std::move(parsed), std::move(files)), std::move(fds), devices);
}

}  // namespace

int main_serve(const Words& arguments) {
  UniqueFd launcher = take_socket(launcher::kLauncherFdVariable);
  const Status ended = launcher ? be_daemon(arguments, std::move(launcher)) : become_launcher(arguments);
  if (ended.ok()) return 0;
  const int status = report(ended.error());
  return ended.error().slug() == sandbox::launcher_gone().slug() ? launcher::kLauncherGone : status;
}

}  // namespace lmsb::serve
