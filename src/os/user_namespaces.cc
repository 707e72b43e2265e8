#include "os/user_namespaces.h"

namespace lmsb::os {
namespace {

constexpr const char* kMaxUserNamespaces = "/proc/sys/user/max_user_namespaces";
constexpr const char* kUnprivilegedClone = "/proc/sys/kernel/unprivileged_userns_clone";
constexpr const char* kAppArmorLimit = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
constexpr const char* kAppArmorLabel = "/proc/self/attr/apparmor/current";
constexpr const char* kAppArmorProfileFile = "/etc/apparmor.d/lm-sandbox";
constexpr const char* kInstallProfile =
    "sudo install -m 644 packaging/apparmor/lm-sandbox /etc/apparmor.d/lm-sandbox && "
    "sudo apparmor_parser -r /etc/apparmor.d/lm-sandbox";
constexpr const char* kLoadProfile =
    "sudo apparmor_parser -r /etc/apparmor.d/lm-sandbox   # and start the program that is installed: the profile is "
    "for the folder it names";

// Whether `path` holds the number `text`, with or without a line break.
bool holds(const ReadFile& read_file, const char* path, const std::string& text) {
  const auto content = read_file(path);
  return content && (*content == text || *content == text + "\n");
}

// "lm-sandbox (unconfined)": the profile that this process is under, which alone tells what is in force for it: one
// that is loaded may be for another folder. "" = none, or there is no AppArmor.
std::string own_profile(const ReadFile& read_file) {
  std::string label = read_file(kAppArmorLabel).value_or("");
  label = label.substr(0, label.find('\n'));
  return label == "unconfined" ? "" : label;
}

// What puts this program under our profile.
std::string mend_of_profile(const ReadFile& read_file) {
  return read_file(kAppArmorProfileFile) ? kLoadProfile : kInstallProfile;
}

}  // namespace

std::optional<NamespaceFault> fault_for_root(const ReadFile& read_file) {
  if (!holds(read_file, kMaxUserNamespaces, "0")) return std::nullopt;
  return NamespaceFault{"user.max_user_namespaces is 0", "sudo sysctl -w user.max_user_namespaces=65536"};
}

std::optional<NamespaceFault> apparmor_fault(const ReadFile& read_file) {
  // Under another profile it is for that one to say.
  if (!holds(read_file, kAppArmorLimit, "1") || !own_profile(read_file).empty()) return std::nullopt;
  return NamespaceFault{
      "kernel.apparmor_restrict_unprivileged_userns is 1 and AppArmor's profile lm-sandbox, which lifts it, is not in "
      "force for this program",
      mend_of_profile(read_file) +
          "   # or, for all programs: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"};
}

std::optional<NamespaceFault> confinement_fault(const ReadFile& read_file) {
  const std::string profile = own_profile(read_file);
  if (profile.empty()) return std::nullopt;
  return NamespaceFault{"AppArmor's profile " + profile, mend_of_profile(read_file)};
}

std::optional<NamespaceFault> fault_for_users(const ReadFile& read_file) {
  if (auto fault = fault_for_root(read_file)) return fault;
  if (holds(read_file, kUnprivilegedClone, "0")) {
    return NamespaceFault{"kernel.unprivileged_userns_clone is 0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"};
  }
  return apparmor_fault(read_file);
}

}  // namespace lmsb::os
