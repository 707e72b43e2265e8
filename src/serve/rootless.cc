#include "serve/rootless.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "config/schema.h"
#include "sandbox/own_namespace.h"

namespace lmsb::serve {
namespace {

// Whether a key is as nobody has set it.
bool is_unset(const config::Loaded& loaded, const char* key) {
  const auto origin = loaded.origin.find(key);
  return origin == loaded.origin.end() || origin->second == "default";
}

bool is_setting(std::string_view name) {
  const auto all = config::settings();
  return std::any_of(all.begin(), all.end(), [name](const auto& s) { return config::environment_name(s) == name; });
}

bool is_for_daemon(std::string_view name) {
  constexpr std::array<std::string_view, 16> kNames = {
      "PATH",         "LANG",          "LANGUAGE",   "TZ",          "NOTIFY_SOCKET", "http_proxy", "https_proxy",
      "no_proxy",     "all_proxy",     "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",      "ALL_PROXY",  "SSL_CERT_FILE",
      "SSL_CERT_DIR", "CURL_CA_BUNDLE"};
  return name.starts_with("LC_") || std::find(kNames.begin(), kNames.end(), name) != kNames.end() || is_setting(name);
}

}  // namespace

std::string id_locks_of(const os::UserPlaces& places, const std::string& run_dir) {
  return (places.runtime_dir.empty() ? run_dir : places.runtime_dir) + "/lm-sandbox.ids";
}

Status settle_places(config::Loaded& loaded, const os::UserPlaces& places) {
  config::Config& config = loaded.config;
  if (is_unset(loaded, "data_dir")) config.data_dir = places.data_dir;
  if (is_unset(loaded, "run_dir")) config.run_dir = places.run_dir();
  if (config.run_dir.empty())
    return Error(ErrorCode::failed_precondition, "there is no place for sockets: XDG_RUNTIME_DIR is not set")
        .with_hint("start it from a session of yours, or say where: --run-dir DIR");
  if (config.disks.kind == "store")
    return Error(ErrorCode::failed_precondition, "disks.kind: a store of disks needs root")
        .with_hint("leave it out: the disks of kept sandboxes lie in memory then; or run the daemon as root");
  config.disks.kind = "memory";
  return {};
}

std::vector<std::string> environment_for_daemon(const std::vector<std::string>& all) {
  std::vector<std::string> kept;
  for (const std::string& entry : all)
    if (is_for_daemon(std::string_view(entry).substr(0, entry.find('=')))) kept.push_back(entry);
  return kept;
}

Result<sandbox::OwnIds> check_rootless(const os::ReadFile& read_file) {
  if (const auto fault = os::fault_for_users(read_file))
    return Error(ErrorCode::failed_precondition, "sandboxes cannot be made here without root: " + fault->what)
        .with_hint(fault->mend);
  LMSB_CHECK(sandbox::check_own_namespace());
  return sandbox::own_ids_of_this_user();
}

std::vector<std::string> weaker_without_root() {
  return {
      "there is no root between sandboxes and the user who runs the daemon: who takes over the launcher is that user "
      "(docs/user/rootless.md)"};
}

}  // namespace lmsb::serve
