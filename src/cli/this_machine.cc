#include "cli/this_machine.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <pwd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/connection.h"
#include "cli/feature_trials.h"
#include "cli/subprocess.h"
#include "config/config.h"
#include "os/small_file.h"

namespace lmsb::cli {
namespace {

std::vector<std::string> texts(json::Value value, std::string_view key) {
  std::vector<std::string> list;
  const auto found = value.find(key);
  if (!found) return list;
  for (const json::Value item : found->items()) list.emplace_back(item.string().value_or("?"));
  return list;
}

void take_devices(json::Value info, SandboxTrial& trial) {
  trial.device_faults = texts(info, "device_faults");
  const auto devices = info.find("devices");
  if (!devices) return;  // an older daemon
  for (const json::Value device : devices->items()) {
    const std::string name = text_field(device, "name");
    if (flag_field(device, "usable")) {
      trial.devices.push_back(name);
    } else {
      trial.device_faults.push_back(name + ": " + text_field(device, "fault"));
    }
  }
}

// Runs `true`, and asks which layers stand around it.
Result<SandboxTrial> try_with(Connection& connection) {
  SandboxTrial trial;
  trial.daemon = connection.name();
  Call call("POST", "/v1/run", R"({"cmd":["true"]})");
  call.timeout = std::chrono::seconds(60);
  const auto begin = std::chrono::steady_clock::now();
  LMSB_TRY(const auto result, call_json(connection, call));
  trial.wall_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  trial.works = text_field(result.root(), "outcome") == "exited" && number_field(result.root(), "exit_code") == 0.0;
  if (!trial.works) {
    trial.why = "`true` ended as " + text_field(result.root(), "outcome") + " " + text_field(result.root(), "stderr");
    trial.hint = "the daemon's log says more";
  }
  LMSB_TRY(const auto info, call_json(connection, Call("GET", "/v1/info")));
  trial.image = text_field(info.root(), "default_image");
  trial.isolation = texts(info.root(), "isolation");
  trial.weaker = texts(info.root(), "weaker");
  take_devices(info.root(), trial);
  LMSB_TRY(const auto ready, call_json(connection, Call("GET", "/readyz")));
  const auto checks = ready.root().find("checks");
  const auto passes = [&checks](const char* name) {
    return !checks || !checks->find(name) || flag_field(*checks, name);
  };
  trial.store_works = passes("store");
  trial.database_works = passes("database");
  return trial;
}

SandboxTrial failed(const Error& error) {
  SandboxTrial trial;
  trial.why = error.message();
  trial.hint = error.hint();
  return trial;
}

}  // namespace

std::optional<std::string> ThisMachine::read_file(const std::string& path) { return os::read_small_file(path); }

bool ThisMachine::exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string ThisMachine::data_directory() {
  return target_.data_dir.empty() ? config::Config().data_dir : target_.data_dir;
}

std::vector<std::string> ThisMachine::list_directory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  return names;
}

Result<ProgramOutput> ThisMachine::run_program(const std::vector<std::string>& argv,
                                               std::chrono::milliseconds timeout) {
  LMSB_TRY(auto result, run_subprocess(argv, timeout));
  return ProgramOutput{result.status, std::move(result.output)};
}

std::optional<std::string> ThisMachine::http_get(const std::string& url, std::chrono::milliseconds timeout) {
  return fetch_body(url, timeout);
}

Trial ThisMachine::try_feature(Feature feature) {
  switch (feature) {
    case Feature::user_namespace: return try_user_namespace();
    case Feature::seccomp_filter: return try_seccomp_filter();
    case Feature::overlay: return try_overlay();
    case Feature::idmapped_mount: return try_idmapped_mount();
    case Feature::cgroup_kill: return try_cgroup_kill();
    case Feature::tcp_peer: return try_tcp_peer();
  }
  return {};
}

int ThisMachine::landlock_abi() { return probe_landlock_abi(); }

std::string ThisMachine::kernel_release() {
  utsname names{};
  return ::uname(&names) == 0 ? names.release : "";
}

bool ThisMachine::is_root() { return ::geteuid() == 0; }

std::string ThisMachine::user_name() {
  const char* before_sudo = std::getenv("SUDO_USER");
  if (before_sudo != nullptr && *before_sudo != '\0') return before_sudo;
  const passwd* entry = ::getpwuid(::geteuid());
  return entry == nullptr ? std::to_string(::geteuid()) : entry->pw_name;
}

SandboxTrial ThisMachine::try_sandbox() {
  if (!trial_) trial_ = make_trial();
  return *trial_;
}

SandboxTrial ThisMachine::make_trial() {
  const auto connection = Connection::open(target_, PrivateDaemonUse::allowed, console_);
  if (!connection.ok()) return failed(connection.error());
  auto trial = try_with(**connection);
  return trial.ok() ? *std::move(trial) : failed(trial.error());
}

}  // namespace lmsb::cli
