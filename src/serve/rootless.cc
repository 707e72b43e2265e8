#include "serve/rootless.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "config/schema.h"
#include "sandbox/own_namespace.h"

namespace lmsb::serve {
namespace {

// Whether a key is as nobody has set it.
bool is_unset(const config::Loaded& loaded, const char* key) {
  const auto origin = loaded.origin.find(key);
  return origin == loaded.origin.end() || origin->second == "default";
}

// One directory, or link, on the way to `path`. What is missing is made by the user.
Status require_safe(const std::string& part, const std::string& path) {
  struct stat info {};
  if (::lstat(part.c_str(), &info) < 0)
    return errno == ENOENT ? Status() : Status(Error::from_errno(errno, "look at " + part));
  const Error unsafe(ErrorCode::failed_precondition,
                     path + " is not safe from others: " + part + " can be changed by somebody else");
  if (info.st_uid != 0 && info.st_uid != ::geteuid())
    return Error(unsafe).with_hint("choose another place with --run-dir and --data-dir");
  const bool is_open = S_ISDIR(info.st_mode) && (info.st_mode & 022U) != 0 && (info.st_mode & S_ISVTX) == 0;
  return is_open ? Status(Error(unsafe).with_hint("chmod go-w " + part)) : Status();
}

Status require_safe_parts(const std::string& path) {
  for (std::size_t at = 0; at != std::string::npos; at = path.find('/', at + 1))
    LMSB_CHECK(require_safe(at == 0 ? "/" : path.substr(0, at), path));
  return {};
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

Result<std::string> make_id_locks(const std::string& home) {
  const std::string directory = home + "/.local/state/lm-sandbox";
  std::error_code failure;
  std::filesystem::create_directories(directory, failure);
  if (!failure) std::filesystem::permissions(directory, std::filesystem::perms::owner_all, failure);
  if (failure)
    return Error::from_errno(failure.value(), "make " + directory)
        .with_hint("the locks of subordinate ids lie there, which all daemons of this user share");
  return directory + "/ids";
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

Status require_safe_ways(const std::string& path) {
  LMSB_CHECK(require_safe_parts(path));
  std::error_code failure;  // where links lead
  const std::string resolved = std::filesystem::weakly_canonical(path, failure).string();
  return failure ? Status(Error::from_errno(failure.value(), "look at " + path)) : require_safe_parts(resolved);
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

std::vector<std::string> weaker_without_root(bool has_own_ids) {
  return {
      "there is no root between sandboxes and the user who runs the daemon: who takes over the launcher is that user "
      "(docs/user/rootless.md)",
      has_own_ids ? "sandboxes of stored images share one range of ids, and none of them has the profile root"
                  : "no sandbox has the profile root: all share one range of ids"};
}

}  // namespace lmsb::serve
