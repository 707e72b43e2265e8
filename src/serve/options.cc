#include "serve/options.h"

#include <algorithm>
#include <grp.h>
#include <optional>
#include <pwd.h>
#include <set>
#include <unistd.h>
#include <vector>

#include "launcher/cgroup_tree.h"
#include "network/credential_request.h"
#include "serve/rootless.h"

namespace lmsb::serve {
namespace {

// The uids of the members of a group; nothing when there is no such group.
std::optional<std::set<uid_t>> group_members(const std::string& name) {
  const group* found = ::getgrnam(name.c_str());
  if (found == nullptr) return std::nullopt;
  const gid_t gid = found->gr_gid;
  std::vector<std::string> members;
  for (char** member = found->gr_mem; *member != nullptr; ++member) members.emplace_back(*member);
  std::set<uid_t> uids;
  for (const std::string& member : members)
    if (const passwd* user = ::getpwnam(member.c_str())) uids.insert(user->pw_uid);
  ::setpwent();
  while (const passwd* user = ::getpwent())
    if (user->pw_gid == gid) uids.insert(user->pw_uid);
  ::endpwent();
  return uids;
}

std::string host_of(const std::string& listen) {
  std::string host = listen.substr(0, listen.rfind(':'));
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return host;
}

// Keys are known by their digest, not by their line: what a key has made stays its own when lines are removed.
std::vector<server::ApiKey> api_keys(const config::Config::Auth& auth) {
  std::vector<server::ApiKey> keys;
  const auto add = [&keys](const Sha256& digest) {
    keys.push_back({"sha256-" + to_hex(digest).substr(0, 8), digest, true});
  };
  for (const Secret& key : auth.keys) add(sha256(key.reveal()));
  for (const std::string& hex : auth.key_sha256)
    if (const auto digest = parse_sha256(hex)) add(*digest);
  return keys;
}

// What the launcher lets all sandboxes together have, without what prepared ones use: they are not counted.
Bytes memory_of_all(const config::Config::Pool& pool) {
  const std::uint64_t all = launcher::limits_of_all().memory_bytes;
  const std::uint64_t prepared = Bytes::MiB(1).count() * (std::uint64_t{pool.size} + pool.kept_size);
  return Bytes(all - std::min(prepared, all / 2));
}

bool is_secret_of_a_header(const std::string& secret) {
  constexpr std::size_t kMost = 8192;
  return !secret.empty() && secret.size() <= kMost && network::is_header_value(secret) && secret.front() != ' ' &&
         secret.back() != ' ';
}

// What a user whom the doors do not know can do without a key. Members are asked for at start and at SIGHUP.
std::string local_help(const std::string& group, bool is_there) {
  if (group.empty()) return "use sudo";
  const std::string join = "sudo usermod -aG " + group + " $USER";
  if (is_there) return "use sudo, or " + join + " and send the daemon SIGHUP";
  return "use sudo, or sudo groupadd --system " + group + " && " + join + " and start the daemon again";
}

}  // namespace

control::PolicyCaps policy_caps(const config::Config& config) {
  control::PolicyCaps caps;
  caps.memory = config.policy.memory;
  caps.cpu_millis = static_cast<std::uint32_t>(config.policy.cpus * 1000);
  caps.processes = config.policy.processes;
  caps.disk = config.policy.disk;
  caps.timeout = config.policy.timeout_ms;
  caps.snapshots = config.policy.max_snapshots;
  caps.credentials = config.policy.credentials;
  caps.devices = config.policy.devices;
  caps.models = config.policy.models;
  caps.network = network::parse_mode(config.policy.network).value_or(network::Mode::none);
  caps.root = config.policy.root;
  return caps;
}

control::AdmissionOptions admission_options(const config::Config& config) {
  control::AdmissionOptions options;
  options.max_running = config.limits.max_running;
  options.max_waiting = config.limits.max_waiting;
  options.max_wait = config.limits.max_wait_ms;
  options.memory = config.limits.memory;
  options.all_memory = memory_of_all(config.pool);
  options.memory_overcommit = config.limits.memory_overcommit;
  options.cpu_overcommit = config.limits.cpu_overcommit;
  return options;
}

control::EngineOptions engine_options(const config::Config& config, launcher::Starter starter, bool has_own_ids) {
  control::EngineOptions options;
  if (starter == launcher::Starter::user) {
    options.weaker = weaker_without_root(has_own_ids);
    options.root_profile = has_own_ids ? control::RootProfile::in_image_host : control::RootProfile::nowhere;
  }
  options.default_image = config.default_image;
  options.pool_size = config.pool.size;
  options.kept_pool_size = config.pool.kept_size;
  options.policy = policy_caps(config);
  options.network.resolvers = config.network.resolvers;
  if (auto groups = network::parse_groups(config.network.groups); groups.ok())  // checked at the start
    options.network.groups = *std::move(groups);
  options.network.reachable = config.network.reachable_private;
  options.network.unreachable = config.network.unreachable;
  options.network.max_connections = config.network.max_connections;
  options.network.connections_of_all = config.network.connections_of_all;
  options.network.connections_per_second = config.network.connections_per_second;
  options.network.bytes_per_second = config.network.bytes_per_second.count();
  options.network.is_offline = config.offline;
  options.refuses_weaker = config.policy.refuse_weaker;
  options.audit_log = config.data_dir + "/audit/audit.log";
  options.events = config.data_dir + "/state/events.log";
  options.audit_retention = {config.retention.audit_size, config.retention.audit_files, config.retention.audit_days};
  options.spill = config.retention.output_size;
  if (config.disks.kind != "memory") options.ledger = config.data_dir + "/state/sandboxes.db";
  return options;
}

Result<control::CredentialSettings> credential_settings(const config::Config& config) {
  control::CredentialSettings settings;
  auto parsed = network::parse_credentials(config.network.credentials);
  if (!parsed.ok()) return std::move(parsed).error().with_context("network.credentials");
  for (auto& [name, credential] : *parsed) {
    control::KeptCredential kept;
    const auto file = config.network.credential_files.find(credential.file);
    if (file != config.network.credential_files.end()) {
      kept.secret = file->second.secret;
      kept.fault = file->second.fault;
    }
    if (kept.fault.empty() && !is_secret_of_a_header(kept.secret.reveal()))
      kept.fault = credential.file + " holds more than one line of visible text, or more than 8 KiB";
    kept.credential = std::move(credential);
    settings.credentials.emplace(name, std::move(kept));
  }
  if (settings.credentials.empty()) return settings;
  auto trust = http::TlsContext::of_client(config.network.credential_ca_file);
  if (!trust.ok()) return std::move(trust).error().with_context("network.credential_ca_file");
  settings.trust = *std::move(trust);
  return settings;
}

// Paths are put behind it.
std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

control::ModelOptions model_options(const config::Config& config) {
  control::ModelOptions options;
  options.default_model = config.model.default_;
  options.llama_server = config.model.llama_server;
  options.max_tokens = config.model.max_tokens;
  options.context = config.model.context;
  options.threads = config.model.threads;
  options.max_loaded = config.model.max_loaded;
  if (config.model.keep_alive_ms.count() > 0) options.keep_alive = config.model.keep_alive_ms;
  options.pinned = config.model.pinned;
  options.hub = {without_slash(config.model.hugging_face), without_slash(config.model.registry),
                 config.model.hugging_face_token};
  options.load_timeout = config.model.load_timeout_ms;
  options.answer_timeout = config.model.answer_timeout_ms;
  options.mount_desk = config.run_dir + "/mounts.sock";
  options.file_desk = config.run_dir + "/daemon/files.sock";
  options.upstream_url = upstream_base(config.upstream.base_url);
  options.upstream_model = config.upstream.model;
  options.upstream_key = config.upstream.api_key;
  options.upstream_timeout = config.upstream.timeout_ms;
  return options;
}

fetch::DownloadLimits download_limits(const config::Config& config) {
  fetch::DownloadLimits limits;
  limits.tries = 6;
  if (config.offline) limits.reach = fetch::Reach::loopback;
  return limits;
}

std::string upstream_base(std::string url) {
  const std::size_t scheme = url.find("://");
  const std::size_t authority = scheme == std::string::npos ? 0 : scheme + 3;
  while (url.size() > authority && url.ends_with('/')) url.pop_back();
  return url.find('/', authority) == std::string::npos ? url + "/v1" : url;
}

server::DoorPolicy door_policy(const config::Config& config, launcher::Starter starter) {
  server::DoorPolicy doors;
  doors.allow_hosts = config.allow_host;
  doors.allow_origins = config.allow_origin;
  doors.auth_required = config.auth.required;
  for (const std::string& listen : config.listen) doors.own_hosts.push_back(host_of(listen));
  doors.keys = api_keys(config.auth);
  if (starter == launcher::Starter::user) {
    doors.local_users = "only the user who runs this daemon is";
    doors.local_access = [](std::uint32_t uid) {
      return uid == 0 ? server::LocalAccess::admin : server::LocalAccess::none;
    };
    return doors;
  }
  const auto members = group_members(config.socket_group);
  doors.local_help = local_help(config.socket_group, members.has_value());
  const uid_t own = ::getuid();
  doors.local_access = [members = members.value_or(std::set<uid_t>()), own](std::uint32_t uid) {
    if (uid == 0 || uid == own) return server::LocalAccess::admin;
    return members.contains(uid) ? server::LocalAccess::own : server::LocalAccess::none;
  };
  return doors;
}

}  // namespace lmsb::serve
