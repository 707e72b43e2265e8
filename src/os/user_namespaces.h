#pragma once
// user_namespaces: which setting of this machine, if any, keeps user namespaces from us, and how it is lifted.
#include <functional>
#include <optional>
#include <string>

namespace lmsb::os {

// The content of a small file of /proc or /sys; nothing when it cannot be read.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

struct NamespaceFault {
  std::string what;  // "user.max_user_namespaces is 0"
  std::string mend;  // the exact command
};

// Nobody, root included, makes user namespaces when their number is limited to 0.
std::optional<NamespaceFault> fault_for_root(const ReadFile& read_file);

// What keeps them from a normal user: the above, Debian's switch, or Ubuntu's AppArmor limit without our profile.
std::optional<NamespaceFault> fault_for_users(const ReadFile& read_file);

// Ubuntu's AppArmor limit alone: it is on, and this process is under no profile. Ours lifts it.
std::optional<NamespaceFault> apparmor_fault(const ReadFile& read_file);

// For who was just refused one: "AppArmor's profile NAME (enforce)", which this process is under. Nothing: under none.
std::optional<NamespaceFault> confinement_fault(const ReadFile& read_file);

}  // namespace lmsb::os
