#include "control/devices.h"

#include <algorithm>

#include "base/text.h"
#include "sandbox/launch_plan.h"

namespace lmsb::control {
namespace {

Error not_found(const sandbox::DeviceTable& table, const std::string& name) {
  Error error(ErrorCode::not_found, "this machine has no device " + quoted(name) + " for sandboxes");
  if (table.is_empty())
    return std::move(error)
        .with_slug("device_not_found")
        .with_hint(
            "no file in /etc/cdi or /var/run/cdi describes one to a daemon of root's; for NVIDIA: nvidia-ctk cdi "
            "generate --output=/etc/cdi/nvidia.yaml, then start the daemon again");
  std::string names;
  for (std::size_t i = 0; i < std::min<std::size_t>(table.devices.size(), 8); ++i)
    names += (i == 0 ? "" : ", ") + table.devices[i].name;
  return std::move(error).with_slug("device_not_found").with_hint("there are " + names);
}

bool is_for_all(const PolicyCaps& caps, const std::string& name) {
  const std::string kind = name.substr(0, name.find('='));
  return std::any_of(caps.devices.begin(), caps.devices.end(),
                     [&](const std::string& allowed) { return allowed == name || allowed == kind; });
}

Result<std::uint32_t> find_one(const sandbox::DeviceTable& table, const std::string& name) {
  const auto is_it = [&name](const sandbox::TableDevice& device) { return device.name == name; };
  const auto found = std::find_if(table.devices.begin(), table.devices.end(), is_it);
  if (found == table.devices.end()) return not_found(table, name);
  if (!found->fault.empty())
    return Error(ErrorCode::unsupported, "device " + name + " cannot be used: " + found->fault)
        .with_slug("device_not_usable")
        .with_hint("make the file that describes it anew (nvidia-ctk cdi generate) and start the daemon again");
  return static_cast<std::uint32_t>(found - table.devices.begin());
}

}  // namespace

Result<std::vector<std::uint32_t>> find_devices(const sandbox::DeviceTable& table, const PolicyCaps& caps,
                                                const Principal& who, const std::vector<std::string>& names) {
  std::vector<std::uint32_t> places;
  for (const std::string& name : names) {
    if (!who.is_unbounded() && !is_for_all(caps, name))
      return Error(ErrorCode::permission_denied, "device " + quoted(name) + " is administrators' to give")
          .with_slug("device_denied")
          .with_hint("ask one, or have the operator list it in [policy] devices");
    LMSB_TRY(const std::uint32_t place, find_one(table, name));
    if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(place);
    if (places.size() > sandbox::kMaxPlanDevices)
      return Error(ErrorCode::invalid_argument, "more than 16 devices")
          .with_slug("too_many_devices")
          .with_hint("name one that stands for several, such as nvidia.com/gpu=all");
  }
  return places;
}

void add_device_variables(const sandbox::DeviceTable& table, const std::vector<std::uint32_t>& places,
                          std::map<std::string, std::string>& variables) {
  for (const std::uint32_t place : places)
    for (const std::string& variable : table.devices.at(place).environment) {
      const std::size_t equals = variable.find('=');
      variables[variable.substr(0, equals)] = variable.substr(equals + 1);
    }
}

}  // namespace lmsb::control
