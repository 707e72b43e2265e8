#include "serve/settings.h"

#include <cerrno>
#include <poll.h>

#include "launcher/handed_files.h"
#include "os/small_file.h"

namespace lmsb::serve {
namespace {

using launcher::HandedFile;

constexpr Bytes kMostOfAFile = Bytes::MiB(1);

// The newest message that is there; waits for one when there is none.
Result<std::vector<HandedFile>> newest(int socket) {
  std::optional<std::vector<HandedFile>> last;
  for (;;) {
    LMSB_TRY(auto next, launcher::receive_files(socket));
    if (next) {
      last = std::move(next);
    } else if (last) {
      return *std::move(last);
    } else {
      pollfd wait{socket, POLLIN, 0};
      if (::poll(&wait, 1, -1) < 0 && errno != EINTR) return Error::from_errno(errno, "wait for the settings");
    }
  }
}

Result<std::string> content_of(const HandedFile& file, const std::string& path) {
  if (file.error != 0) return Error::from_errno(file.error, "open " + path);
  return os::read_to_end(file.fd.get(), kMostOfAFile, path);
}

// Settings that SIGHUP takes up: whole sections, and keys outside of them.
bool is_reloaded(const std::string& key) {
  const bool is_of_policy = key.starts_with("policy.") && key != "policy.refuse_weaker";
  const bool is_of_credentials = key.starts_with("network.credential");
  return is_of_credentials || key.starts_with("auth.") || key.starts_with("tls.") || is_of_policy ||
         key == "allow_host" || key == "allow_origin";
}

// 0 is all of the machine's.
template <class T>
bool is_above(const T& fresh, const T& start) {
  return start != T() && (fresh == T() || fresh > start);
}

// The launcher has its caps from the start: at SIGHUP they come down, and up again no further than they were.
config::Config::Policy within_start(const config::Config::Policy& start, config::Config::Policy fresh) {
  if (is_above(fresh.memory, start.memory)) fresh.memory = start.memory;
  if (is_above(fresh.cpus, start.cpus)) fresh.cpus = start.cpus;
  if (is_above(fresh.processes, start.processes)) fresh.processes = start.processes;
  if (is_above(fresh.disk, start.disk)) fresh.disk = start.disk;
  fresh.root = fresh.root && start.root;
  fresh.refuse_weaker = start.refuse_weaker;
  return fresh;
}

// Caps that SIGHUP would raise above those of the start.
bool is_raised(const std::string& key, const config::Config::Policy& start, const config::Config::Policy& fresh) {
  return (key == "policy.memory" && is_above(fresh.memory, start.memory)) ||
         (key == "policy.cpus" && is_above(fresh.cpus, start.cpus)) ||
         (key == "policy.processes" && is_above(fresh.processes, start.processes)) ||
         (key == "policy.disk" && is_above(fresh.disk, start.disk)) ||
         (key == "policy.root" && fresh.root && !start.root);
}

}  // namespace

Settings::Settings(ServeArguments arguments, UniqueFd files)
    : arguments_(std::move(arguments)), files_(std::move(files)) {}

Result<config::Config> Settings::read() {
  LMSB_TRY(const auto files, newest(files_.get()));
  config::Sources sources = arguments_.sources;
  for (std::size_t i = 0; i < files.size() && i < arguments_.handed_files.size(); ++i) {
    const std::string& path = arguments_.handed_files[i];
    sources.handed.insert_or_assign(path, content_of(files[i], path));
  }
  LMSB_TRY(auto loaded, config::load(sources));
  if (arguments_.is_socket_only) loaded.config.listen.clear();
  return std::move(loaded.config);
}

void Settings::ask() { launcher::say(files_.get(), launcher::DaemonWord::files); }

void Settings::say_ready() { launcher::say(files_.get(), launcher::DaemonWord::ready); }

config::Config reloaded(const config::Config& running, const config::Config& fresh) {
  config::Config config = running;
  config.auth = fresh.auth;
  if (running.tls.is_on() == fresh.tls.is_on()) config.tls = fresh.tls;
  config.policy = within_start(running.policy, fresh.policy);
  config.network.credentials = fresh.network.credentials;
  config.network.credential_files = fresh.network.credential_files;
  config.network.credential_ca_file = fresh.network.credential_ca_file;
  config.allow_host = fresh.allow_host;
  config.allow_origin = fresh.allow_origin;
  return config;
}

std::vector<std::string> keys_for_a_restart(const config::Config& running, const config::Config& fresh) {
  std::vector<std::string> keys;
  // Who connects expects what was spoken before.
  const bool is_tls_switched = running.tls.is_on() != fresh.tls.is_on();
  for (const std::string& key : config::differing_keys(running, fresh)) {
    const bool is_switch = is_tls_switched && key.starts_with("tls.");
    if (!is_reloaded(key) || is_switch || is_raised(key, running.policy, fresh.policy)) keys.push_back(key);
  }
  return keys;
}

}  // namespace lmsb::serve
