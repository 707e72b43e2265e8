#include "serve/daemon.h"

#include <cerrno>
#include <csignal>
#include <functional>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "control/engine.h"
#include "control/fleet.h"
#include "control/guard.h"
#include "control/models.h"
#include "http/address.h"
#include "http/server.h"
#include "io/blocking_pool.h"
#include "io/spawn.h"
#include "io/wait_fd.h"
#include "json/writer.h"
#include "sandbox/launcher_client.h"
#include "serve/checks.h"
#include "serve/failed_handshakes.h"
#include "serve/options.h"
#include "server/app.h"
#include "server/model_doors.h"

namespace lmsb::serve {
namespace {

constexpr std::chrono::milliseconds kAnswerGrace{10'000};  // for answers in progress when the daemon is asked to end
constexpr std::chrono::milliseconds kGraceWithoutLauncher{1'000};  // the next pair waits for this one's end
constexpr const char* kReloadHint =
    "the settings before stay in force; a file that they did not name, and that root alone may read, needs a restart";
constexpr std::chrono::hours kExpiresSoon{14 * 24};
constexpr std::chrono::hours kCertificateLook{24};
// The user is not the daemon. The directory of its sockets is closed to everybody else, and groups have other numbers
// here.
constexpr int kModeOfUser = 0666;
constexpr std::size_t kPoolThreads = 4;
constexpr std::size_t kPoolQueue = 256;

LogLevel log_level(const std::string& name) {
  if (name == "debug") return LogLevel::debug;
  if (name == "warning") return LogLevel::warning;
  return name == "error" ? LogLevel::error : LogLevel::info;
}

// The first one at which this machine's browsers and programs find us; port 0: none.
http::HostPort local_address(const std::vector<std::string>& addresses) {
  for (const std::string& address : addresses) {
    auto bound = http::parse_host_port(address);
    if (!bound.ok()) continue;
    if (bound->host == "::1" || bound->host == "::") return {"[::1]", bound->port};
    if (bound->host == "0.0.0.0") return {"127.0.0.1", bound->port};
    if (bound->host.starts_with("127.")) return *std::move(bound);
  }
  return {};
}

// What SIGHUP brought, ready to be taken up.
struct Fresh {
  config::Config config;
  server::DoorPolicy doors;
  control::CredentialSettings credentials;
  Result<std::shared_ptr<const http::TlsContext>> tls = std::shared_ptr<const http::TlsContext>();
  std::vector<std::string> keys_for_a_restart;
};

class Daemon {
 public:
  Daemon(Settings settings, const config::Config& config, DaemonFds fds, const sandbox::DeviceTable& devices)
      : settings_(std::move(settings)),
        config_(config),
        fds_(std::move(fds)),
        signals_(loop_, SIGTERM, SIGINT, SIGHUP),
        log_(log_level(config.log_level), config.log_format == "json" ? LogFormat::json : LogFormat::text),
        pool_(kPoolThreads, kPoolQueue),
        admission_(loop_, admission_options(config), metrics_),
        fleet_(loop_, sandbox::LauncherClient(std::move(fds_.launcher)), {}, metrics_, log_),
        engine_(loop_, {admission_, fleet_, image::Store(config.data_dir), make_models(), pool_},
                with(devices, engine_options(config, settings_.starter(), settings_.has_own_ids())), metrics_, log_),
        guard_(engine_),
        model_doors_(loop_, guard_, metrics_),
        app_(guard_, metrics_, log_, app_options(config, settings_.starter())),
        server_(loop_, {}, app_.serve(), app_.streamed_body(), &server::App::refuse),
        failed_handshakes_(metrics_, log_),
        settings_watch_(loop_.get_executor(), settings_.socket()) {
    server_.when_handshake_fails([this](const Error& why) { failed_handshakes_.note(why); });
    engine_.serve_models_by(model_doors_);
    engine_.keys().when_over([this](const std::string& principal) { server_.close_of(principal); });
  }

  Status run() {
    io::spawn(loop_, serve(this));
    loop_.run();
    return std::move(ended_);
  }

 private:
  std::unique_ptr<control::ModelService> make_models() {
    control::ModelOptions options = model_options(config_);
    if (is_of_user()) {
      options.desk_mode = kModeOfUser;
      options.mount_desk = config_.run_dir + "/desk/mounts.sock";
    } else if (const group* socket_group = ::getgrnam(config_.socket_group.c_str())) {
      options.desk_mode = 0660;
      options.desk_group = socket_group->gr_gid;
    }
    return std::make_unique<control::Models>(loop_, pool_, admission_, fleet_, image::Store(config_.data_dir),
                                             model::Store(config_.data_dir, download_limits(config_)),
                                             std::move(options), log_);
  }

  bool is_of_user() const { return settings_.starter() == launcher::Starter::user; }

  static control::EngineOptions with(const sandbox::DeviceTable& devices, control::EngineOptions options) {
    options.devices = devices;
    return options;
  }

  static server::AppOptions app_options(const config::Config& config, launcher::Starter starter) {
    server::AppOptions options;
    options.doors = door_policy(config, starter);
    options.run_bash_sandbox = config.run_bash.sandbox;
    return options;
  }

  static io::Always<void> serve(Daemon* self) {
    Status started = co_await self->start();
    if (started.ok()) {
      io::spawn(self->loop_, watch_launcher(self));
      io::spawn(self->loop_, watch_settings(self));
      if (self->tls_) io::spawn(self->loop_, watch_certificate(self));
      co_await self->wait_signal();
      self->settings_watch_.stop();
    }
    const bool has_begun = started.ok();
    co_await self->server_.shutdown(kAnswerGrace);
    if (!has_begun) self->ended_ = std::move(started);
    co_await self->engine_.drain();
    if (has_begun) self->log_.log(LogLevel::info, "daemon.stopped");  // else the error says all that there is to say
    self->loop_.stop();
  }

  // Until it is ready it answers that it is not.
  io::Task<void> start() {
    LMSB_CO_TRY(auto credentials, credential_settings(config_));
    engine_.use_credentials(std::move(credentials));
    LMSB_CO_TRY(const auto addresses, listen());
    LMSB_CO_CHECK(co_await engine_.prepare());
    report_ready(addresses);
    co_return Status();
  }

  // From the next connection on.
  void use_tls(std::shared_ptr<const http::TlsContext> tls, const config::Config& config) {
    if (!tls) return;
    server_.use_tls(tls);
    tls_ = std::move(tls);
    tls_file_ = config.tls.cert_file;
    log_.log(LogLevel::info, "tls.certificate",
             {{"file", tls_file_}, {"expires_at", rfc3339_in(left_of_certificate())}});
    warn_of_certificate();
  }
  std::chrono::milliseconds left_of_certificate() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(tls_->expires_at() - std::chrono::system_clock::now());
  }
  void warn_of_certificate() {
    const auto left = left_of_certificate();
    if (left < kExpiresSoon)
      log_.log(LogLevel::warning, "tls.expires_soon", {{"file", tls_file_}, {"expires_at", rfc3339_in(left)}});
  }
  // A daemon may run longer than its certificate.
  static io::Always<void> watch_certificate(Daemon* self) {
    while (true) {
      const Status slept = co_await io::sleep_until(io::Deadline::in(kCertificateLook));
      if (!slept.ok()) co_return;
      self->warn_of_certificate();
    }
  }

  Result<std::vector<std::string>> listen() {
    std::vector<std::string> addresses;
    LMSB_TRY(const auto tls, make_tls(config_));
    use_tls(tls, config_);
    for (const int fd : fds_.listening) {
      LMSB_TRY(std::string bound, server_.listen_on(UniqueFd(fd)));
      addresses.push_back(std::move(bound));
    }
    auto [host, port] = local_address(addresses);
    app_.set_listening_port(port, config_.tls.is_on(), std::move(host));
    const std::string socket = config_.run_dir + "/daemon/api.sock";
    if (is_of_user()) {
      LMSB_CHECK(server_.listen_unix(socket, kModeOfUser));
      return addresses;
    }
    const group* socket_group = ::getgrnam(config_.socket_group.c_str());
    LMSB_CHECK(server_.listen_unix(socket, socket_group != nullptr ? 0660 : 0600));
    if (socket_group != nullptr && ::chown(socket.c_str(), static_cast<uid_t>(-1), socket_group->gr_gid) < 0)
      return Error::from_errno(errno, "give " + socket + " to group " + config_.socket_group);
    return addresses;
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
    const std::string scheme = config_.tls.is_on() ? "https://" : "http://";
    for (const std::string& address : addresses)
      log_.log(LogLevel::info, "daemon.listening", {{"address", address}, {"url", scheme + address}});
    settings_.say_ready();
    if (!fds_.ready) return;
    (void)!::write(fds_.ready.get(), text.data(), text.size());  // who asked for it may have gone
    fds_.ready.reset();
  }

  // Until the daemon is to end. SIGHUP, which the parent does not pass on, means the same as to the parent.
  io::Always<void> wait_signal() {
    int last = SIGHUP;
    while (last == SIGHUP) {
      const auto [error, signal] = co_await signals_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      last = error ? SIGTERM : signal;
      if (last == SIGHUP) settings_.ask();
    }
    log_.log(LogLevel::info, "daemon.stopping", {{"signal", last}});
  }

  // On a thread of the pool.
  Result<Fresh> read_fresh() {
    LMSB_TRY(const config::Config read, settings_.read());
    Fresh fresh;
    fresh.config = reloaded(config_, read);
    fresh.keys_for_a_restart = keys_for_a_restart(config_, read);
    LMSB_CHECK(check_binding(fresh.config, config_.default_image));
    fresh.tls = make_tls(fresh.config);
    LMSB_CHECK(check_network(fresh.config));
    LMSB_TRY(fresh.credentials, credential_settings(fresh.config));
    fresh.doors = door_policy(fresh.config, settings_.starter());
    return fresh;
  }

  void take_up(Fresh fresh) {
    for (const std::string& key : fresh.keys_for_a_restart)
      log_.log(LogLevel::warning, "settings.need_restart", {{"key", key}});
    log_.log(LogLevel::info, "settings.reloaded", {{"api_keys", std::uint64_t{fresh.doors.keys.size()}}});
    if (fresh.tls.ok()) {
      use_tls(*fresh.tls, fresh.config);
    } else {  // a certificate that is over must not keep a key from being taken back
      const Error& error = fresh.tls.error();
      log_.log(LogLevel::error, "tls.reload_failed",
               {{"error", error.message()}, {"hint", "the certificate before is still shown; " + error.hint()}});
    }
    for (const std::string& gone : app_.set_doors(std::move(fresh.doors))) server_.close_of(gone);
    engine_.use_credentials(std::move(fresh.credentials));
    engine_.set_policy(policy_caps(fresh.config));
  }

  // At SIGHUP the parent hands the files of the settings over anew. What is wrong with them leaves all as it was.
  static io::Always<void> watch_settings(Daemon* self) {
    for (;;) {
      const Status readable = co_await self->settings_watch_.readable();
      if (!readable.ok()) co_return;
      std::function<Result<Fresh>()> read = [self] { return self->read_fresh(); };
      auto job = self->pool_.run(std::move(read));
      auto fresh = co_await std::move(job);
      Status kept = fresh.ok() ? self->engine_.can_keep(policy_caps(fresh->config)) : Status();
      if (!kept.ok()) fresh = std::move(kept).error();
      if (fresh.ok()) {
        self->take_up(*std::move(fresh));
      } else if (fresh.error().code() == ErrorCode::cancelled) {
        co_return;  // the parent is gone, and so are we in a moment
      } else {
        const std::string& hint = fresh.error().hint();
        self->log_.log(LogLevel::error, "settings.reload_failed",
                       {{"error", fresh.error().message()}, {"hint", hint.empty() ? kReloadHint : hint}});
      }
      self->settings_.say_ready();
    }
  }

  // Without its launcher the daemon can do nothing: it ends, and the parent decides whether both are started again.
  static io::Always<void> watch_launcher(Daemon* self) {
    const Status gone = co_await self->fleet_.wait_launcher_gone();
    if (!gone.ok()) co_return;
    self->ended_ = sandbox::launcher_gone();
    self->log_.log(LogLevel::error, "daemon.launcher_gone");
    std::raise(SIGTERM);
    co_await self->server_.shutdown(kGraceWithoutLauncher);  // whoever asked it to end first gives longer
  }

  Settings settings_;
  const config::Config config_;  // as the daemon was started
  DaemonFds fds_;
  boost::asio::io_context loop_{1};
  boost::asio::signal_set signals_;
  Metrics metrics_;
  Logger log_;
  io::BlockingPool pool_;
  control::Admission admission_;
  control::Fleet fleet_;
  control::Engine engine_;
  control::Guard guard_;
  server::ModelDoors model_doors_;
  server::App app_;
  std::shared_ptr<const http::TlsContext> tls_;  // what is shown; null: nothing
  std::string tls_file_;                         // that it is of
  http::Server server_;
  FailedHandshakes failed_handshakes_;
  io::FdWatch settings_watch_;
  Status ended_;
};

}  // namespace

Status run_daemon(Settings settings, DaemonFds fds, const sandbox::DeviceTable& devices) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed connection is an error of its write, not the end of the daemon
  LMSB_TRY(const config::Config config, settings.read());
  Daemon daemon(std::move(settings), config, std::move(fds), devices);
  Status ended = daemon.run();
  // Destroying the daemon ends the launcher, at which the parent ends us: the caller has to say why first.
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, nullptr);
  return ended;
}

}  // namespace lmsb::serve
