#include "control/policy.h"

#include <algorithm>

#include "base/text.h"
#include "image/store.h"

namespace lmsb::control {
namespace {

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

sandbox::Limits within(const PolicyCaps& caps, sandbox::Limits limits) {
  limits.memory = std::min(limits.memory, caps.memory);
  limits.cpu_millis = std::min(limits.cpu_millis, caps.cpu_millis);
  limits.processes = std::min(limits.processes, caps.processes);
  limits.shm = std::min(limits.shm, sandbox::most_shm(caps.memory));
  return limits;
}

Error above_policy(const std::string& what, const std::string& cap) {
  return Error(ErrorCode::permission_denied, what + " is above what the operator allows (" + cap + ")")
      .with_slug("policy_denied")
      .with_hint("ask for less, or raise [policy] in the configuration");
}

Status check_egress(const PolicyCaps& caps, const network::Egress& egress, std::span<const network::Rule> rules) {
  if (egress.mode > caps.network) return above_policy("egress.mode", network::to_string(caps.network));
  for (const std::string& name : network::credentials_of(egress))
    if (!has(caps.credentials, name) && !has(egress.given, name))
      return Error(ErrorCode::permission_denied,
                   "egress.allow: credential " + quoted(name) + " is administrators' to give")
          .with_slug("credential_denied")
          .with_hint("ask one, or have the operator list it in [policy] credentials");
  if (caps.network == network::Mode::open) return {};
  const auto wide = network::wide_entry(rules);
  if (!wide) return {};
  return above_policy("egress.allow: " + quoted(*wide), "names, *.NAME with a dot in NAME, ranges from /8");
}

void note_given(const Principal& who, network::Egress& egress, const network::Egress& before) {
  egress.given = network::credentials_of(egress);
  if (who.is_unbounded()) return;
  std::erase_if(egress.given, [&before](const std::string& name) { return !has(before.given, name); });
}

Status check_profile(const PolicyCaps& caps, guest_protocol::Profile profile) {
  if (profile != guest_protocol::Profile::root || caps.root) return {};
  return Error(ErrorCode::permission_denied, "profile: root is above what the operator allows")
      .with_slug("policy_denied")
      .with_hint("leave it out, or set root = true under [policy] in the configuration");
}

Status check_kept(const PolicyCaps& caps, const Layers& layers) {
  const auto not_kept = [](const std::string& setting, const std::string& controller) {
    return Error(ErrorCode::unsupported, setting + ": the kernel would not keep to it, as the controller " +
                                             controller + " was not delegated to the daemon's user")
        .with_slug("limit_not_kept")
        .with_hint(
            "leave it out of [policy], have the controller delegated (docs/user/rootless.md), or run the daemon as "
            "root");
  };
  if (caps.memory.count() != 0 && !layers.has_memory_limit) return not_kept("policy.memory", "memory");
  if (caps.cpu_millis != 0 && !layers.has_cpu_limit) return not_kept("policy.cpus", "cpu");
  return {};
}

Status check_profile(RootProfile possible, const std::string& image, guest_protocol::Profile profile) {
  if (profile != guest_protocol::Profile::root || possible == RootProfile::everywhere) return {};
  if (possible == RootProfile::in_image_host && image == image::kHostImage) return {};
  const std::string what = "profile: root needs ids that no other sandbox has, and without root of the machine ";
  if (possible == RootProfile::in_image_host)
    return Error(ErrorCode::unsupported, what + "sandboxes of stored images share theirs")
        .with_slug("profile_not_possible")
        .with_hint("take image host, leave profile out, or run the daemon as root");
  return Error(ErrorCode::unsupported, what + "this daemon's sandboxes share theirs")
      .with_slug("profile_not_possible")
      .with_hint(
          "leave it out, give the daemon's user 66 ranges of 65536 subordinate ids (docs/user/rootless.md), or run the "
          "daemon as root");
}

Status check_models(const PolicyCaps& caps, const ModelAccess& access) {
  if (caps.models || !access.is_something()) return {};
  return Error(ErrorCode::permission_denied, "the operator allows sandboxes no models")
      .with_slug("policy_denied")
      .with_hint("leave models out, or set models = true in [policy] of the configuration");
}

Status check_labels(const std::map<std::string, std::string>& labels) {
  constexpr std::size_t kMostText = 64 * 1024;
  if (labels.contains(""))
    return Error(ErrorCode::invalid_argument, "a label has no name")
        .with_slug("invalid_name")
        .with_hint("name it, as in {\"team\": \"search\"}; its text may be empty");
  std::size_t text = 0;
  for (const auto& [name, value] : labels) text += name.size() + value.size();
  if (labels.size() <= 64 && text <= kMostText) return {};
  return Error(ErrorCode::invalid_argument, "more than 64 labels, or than 64 KiB of them")
      .with_slug("too_many_labels")
      .with_hint("take some away: a label that is null in a PATCH goes");
}

Status settle_timeout(Command& command, std::chrono::milliseconds cap) {
  if (!command.asks_for_timeout) command.timeout = std::min(command.timeout, cap);
  if (command.timeout > cap) return above_policy("timeout_ms", std::to_string(cap.count()));
  return {};
}

}  // namespace lmsb::control
