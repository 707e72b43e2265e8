#include "os/user_namespaces.h"

namespace lmsb::os {
namespace {

constexpr const char* kMaxUserNamespaces = "/proc/sys/user/max_user_namespaces";
constexpr const char* kUnprivilegedClone = "/proc/sys/kernel/unprivileged_userns_clone";
constexpr const char* kAppArmorLimit = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
constexpr const char* kAppArmorProfiles = "/sys/kernel/security/apparmor/profiles";
constexpr const char* kAppArmorProfileFile = "/etc/apparmor.d/lm-sandbox";

// Whether `path` holds the number `text`, with or without a line break.
bool holds(const ReadFile& read_file, const char* path, const std::string& text) {
  const auto content = read_file(path);
  return content && (*content == text || *content == text + "\n");
}

// /sys/kernel/security is readable for root only; the file in /etc is the next best evidence.
bool has_our_profile(const ReadFile& read_file) {
  const auto loaded = read_file(kAppArmorProfiles);
  if (loaded) return loaded->starts_with("lm-sandbox ") || loaded->find("\nlm-sandbox ") != std::string::npos;
  return read_file(kAppArmorProfileFile).has_value();
}

}  // namespace

std::optional<NamespaceFault> fault_for_root(const ReadFile& read_file) {
  if (!holds(read_file, kMaxUserNamespaces, "0")) return std::nullopt;
  return NamespaceFault{"user.max_user_namespaces is 0", "sudo sysctl -w user.max_user_namespaces=65536"};
}

std::optional<NamespaceFault> apparmor_fault(const ReadFile& read_file) {
  if (!holds(read_file, kAppArmorLimit, "1") || has_our_profile(read_file)) return std::nullopt;
  return NamespaceFault{
      "kernel.apparmor_restrict_unprivileged_userns is 1 and no AppArmor profile lifts it for lm-sandbox",
      "sudo install -m 644 packaging/apparmor/lm-sandbox /etc/apparmor.d/lm-sandbox && "
      "sudo apparmor_parser -r /etc/apparmor.d/lm-sandbox   # or, for all programs: "
      "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"};
}

std::optional<NamespaceFault> fault_for_users(const ReadFile& read_file) {
  if (auto fault = fault_for_root(read_file)) return fault;
  if (holds(read_file, kUnprivilegedClone, "0")) {
    return NamespaceFault{"kernel.unprivileged_userns_clone is 0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"};
  }
  return apparmor_fault(read_file);
}

}  // namespace lmsb::os
