#include "serve/daemon.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <grp.h>
#include <pwd.h>
#include <set>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "base/metrics.h"
#include "control/engine.h"
#include "control/fleet.h"
#include "control/models.h"
#include "http/server.h"
#include "io/blocking_pool.h"
#include "io/spawn.h"
#include "json/writer.h"
#include "server/app.h"

namespace lmsb::serve {
namespace {

constexpr std::chrono::milliseconds kAnswerGrace{10'000};  // for answers in progress when the daemon is asked to end
constexpr std::size_t kPoolThreads = 4;
constexpr std::size_t kPoolQueue = 256;

LogLevel log_level(const std::string& name) {
  if (name == "debug") return LogLevel::debug;
  if (name == "warning") return LogLevel::warning;
  return name == "error" ? LogLevel::error : LogLevel::info;
}

// The uids of the members of a group, asked once: name services may block.
std::set<uid_t> group_members(const std::string& name) {
  std::set<uid_t> uids;
  const group* found = ::getgrnam(name.c_str());
  if (found == nullptr) return uids;
  const gid_t gid = found->gr_gid;
  std::vector<std::string> members;
  for (char** member = found->gr_mem; *member != nullptr; ++member) members.emplace_back(*member);
  for (const std::string& member : members)
    if (const passwd* user = ::getpwnam(member.c_str())) uids.insert(user->pw_uid);
  ::setpwent();
  while (const passwd* user = ::getpwent())
    if (user->pw_gid == gid) uids.insert(user->pw_uid);
  ::endpwent();
  return uids;
}

server::DoorPolicy door_policy(const config::Config& config) {
  server::DoorPolicy doors;
  doors.allow_hosts = config.allow_host;
  doors.allow_origins = config.allow_origin;
  doors.auth_required = config.auth.required;
  for (const std::string& listen : config.listen) {
    std::string host = listen.substr(0, listen.rfind(':'));
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    doors.own_hosts.push_back(host);
  }
  for (std::size_t i = 0; i < config.auth.keys.size(); ++i)
    doors.keys.push_back(server::ApiKey::from_secret("key" + std::to_string(i + 1), config.auth.keys[i], true));
  for (const std::string& hex : config.auth.key_sha256)
    if (const auto digest = server::parse_sha256(hex))
      doors.keys.push_back({"sha256-" + hex.substr(0, 8), *digest, true});
  const std::set<uid_t> members = group_members(config.socket_group);
  const uid_t own = ::getuid();
  doors.local_access = [members, own](std::uint32_t uid) {
    if (uid == 0 || uid == own) return server::LocalAccess::admin;
    return members.contains(uid) ? server::LocalAccess::own : server::LocalAccess::none;
  };
  return doors;
}

control::EngineOptions engine_options(const config::Config& config) {
  control::EngineOptions options;
  options.default_image = config.default_image;
  options.pool_size = config.pool.size;
  options.kept_pool_size = config.pool.kept_size;
  options.max_running = config.limits.max_running;
  options.max_waiting = config.limits.max_waiting;
  options.policy.memory = config.policy.memory;
  options.policy.cpu_millis = static_cast<std::uint32_t>(config.policy.cpus * 1000);
  options.policy.processes = config.policy.processes;
  options.policy.disk = config.policy.disk;
  options.policy.timeout = config.policy.timeout_ms;
  return options;
}

control::ModelOptions model_options(const config::Config& config) {
  control::ModelOptions options;
  options.default_model = config.model.default_;
  options.llama_server = config.model.llama_server;
  options.max_tokens = config.model.max_tokens;
  options.context = config.model.context;
  options.threads = config.model.threads;
  options.mount_desk = config.run_dir + "/mounts.sock";
  options.upstream_url = config.upstream.base_url;
  options.upstream_model = config.upstream.model;
  options.upstream_key = config.upstream.api_key;
  options.upstream_timeout = config.upstream.timeout_ms;
  return options;
}

// Beyond loopback everybody needs a key, so there has to be one, and the machine's own files are not the default.
Status check_binding(const config::Config& config) {
  const auto is_loopback = [](const std::string& listen) {
    return listen.starts_with("127.") || listen.starts_with("localhost:") || listen.starts_with("[::1]:");
  };
  if (std::all_of(config.listen.begin(), config.listen.end(), is_loopback)) return {};
  if (config.auth.keys.empty() && config.auth.key_sha256.empty())
    return Error(ErrorCode::failed_precondition, "listening beyond loopback needs an API key")
        .with_hint("set [auth] key_file in the configuration, or listen on 127.0.0.1");
  if (config.default_image == "host")
    return Error(ErrorCode::failed_precondition, "image host cannot be the default beyond loopback")
        .with_hint("build image base: sudo lm-sandbox image build base");
  return {};
}

class Daemon {
 public:
  Daemon(const config::Config& config, int ready_fd, UniqueFd launcher)
      : config_(config),
        ready_fd_(ready_fd),
        log_(log_level(config.log_level), config.log_format == "json" ? LogFormat::json : LogFormat::text),
        pool_(kPoolThreads, kPoolQueue),
        fleet_(loop_, sandbox::LauncherClient(std::move(launcher)), {}, metrics_, log_),
        engine_(loop_, {fleet_, image::Store(config.data_dir), make_models()}, engine_options(config), metrics_, log_),
        app_(engine_, metrics_, log_, app_options(config)),
        server_(loop_, {}, app_.serve()) {}

  Status run() {
    io::spawn(loop_, serve(this));
    loop_.run();
    return std::move(ended_);
  }

 private:
  std::unique_ptr<control::ModelService> make_models() {
    return std::make_unique<control::Models>(loop_, pool_, fleet_, image::Store(config_.data_dir),
                                             model::Store(config_.data_dir), model_options(config_), log_);
  }

  static server::AppOptions app_options(const config::Config& config) {
    server::AppOptions options;
    options.doors = door_policy(config);
    options.created_limits = control::Engine::created_defaults();
    return options;
  }

  static io::Always<void> serve(Daemon* self) {
    Status started = co_await self->start();
    if (started.ok()) {
      io::spawn(self->loop_, watch_launcher(self));
      co_await self->wait_signal();
      co_await self->server_.shutdown(kAnswerGrace);
    }
    if (!started.ok()) self->ended_ = std::move(started);
    co_await self->engine_.drain();
    self->log_.log(LogLevel::info, "daemon.stopped");
    self->loop_.stop();
  }

  io::Task<void> start() {
    LMSB_CO_CHECK(check_binding(config_));
    auto prepared = co_await engine_.prepare();
    if (!prepared.ok())
      co_return std::move(prepared)
          .error()
          .with_context("the first sandbox")
          .with_hint("lm-sandbox doctor says what is missing on this machine");
    std::vector<std::string> addresses;
    for (const std::string& address : config_.listen) {
      LMSB_CO_TRY(std::string bound, server_.listen_tcp(address));
      addresses.push_back(std::move(bound));
    }
    const group* socket_group = ::getgrnam(config_.socket_group.c_str());
    const std::string socket = config_.run_dir + "/daemon/api.sock";
    LMSB_CO_CHECK(server_.listen_unix(socket, socket_group != nullptr ? 0660 : 0600));
    if (socket_group != nullptr && ::chown(socket.c_str(), static_cast<uid_t>(-1), socket_group->gr_gid) < 0)
      co_return Error::from_errno(errno, "give " + socket + " to group " + config_.socket_group);
    report_ready(addresses);
    co_return Status();
  }

  void report_ready(const std::vector<std::string>& addresses) {
    json::Writer line;
    line.begin_object().key("http").begin_array();
    for (const std::string& address : addresses) line.string(address);
    line.end_array()
        .key("ssh")
        .begin_array()
        .end_array()
        .key("socket")
        .string(config_.run_dir + "/api.sock")
        .key("pid")
        .integer(::getpid())
        .end_object();
    const std::string text = std::move(line).str() + "\n";
    for (const std::string& address : addresses) log_.log(LogLevel::info, "daemon.listening", {{"address", address}});
    if (ready_fd_ < 0) return;
    (void)!::write(ready_fd_, text.data(), text.size());  // who asked for it may have gone
    ::close(ready_fd_);
  }

  io::Always<void> wait_signal() {
    boost::asio::signal_set signals(loop_, SIGTERM, SIGINT);
    const auto [error, signal] = co_await signals.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    log_.log(LogLevel::info, "daemon.stopping", {{"signal", signal}});
  }

  // Without its launcher the daemon can do nothing: it ends, and is started again.
  static io::Always<void> watch_launcher(Daemon* self) {
    const Status gone = co_await self->fleet_.wait_launcher_gone();
    if (!gone.ok()) co_return;
    self->ended_ = Error(ErrorCode::unavailable, "the launcher is gone");
    self->log_.log(LogLevel::error, "daemon.launcher_gone");
    std::raise(SIGTERM);
  }

  const config::Config& config_;
  int ready_fd_;
  boost::asio::io_context loop_{1};
  Metrics metrics_;
  Logger log_;
  io::BlockingPool pool_;
  control::Fleet fleet_;
  control::Engine engine_;
  server::App app_;
  http::Server server_;
  Status ended_;
};

}  // namespace

Status run_daemon(const config::Config& config, int ready_fd, UniqueFd launcher) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed connection is an error of its write, not the end of the daemon
  Daemon daemon(config, ready_fd, std::move(launcher));
  return daemon.run();
}

}  // namespace lmsb::serve
