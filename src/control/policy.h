#pragma once
// What any request may ask for at most, whatever the dialect (interfaces.md, Doors).
#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "control/exec.h"
#include "control/layers.h"
#include "control/model_access.h"
#include "control/principal.h"
#include "guest_protocol/profile.h"
#include "network/egress.h"
#include "sandbox/limits.h"

namespace lmsb::control {

struct PolicyCaps {
  Bytes memory;                  // 0 = what the machine has
  std::uint32_t cpu_millis = 0;  // 0 = every CPU
  std::uint32_t processes = 32'768;
  Bytes disk = Bytes::GiB(64);
  std::chrono::milliseconds timeout{24 * 3600 * 1000};
  std::size_t snapshots = 1000;  // of one owner
  network::Mode network = network::Mode::open;
  std::vector<std::string> credentials;  // that everybody may give sandboxes; others are administrators' alone
  std::vector<std::string> devices;      // the same, of names and kinds of devices
  bool root = true;                      // sandboxes with Profile::root
  bool models = true;                    // sandboxes may have some
};

// What of `limits` it allows; the disk stays as it is.
sandbox::Limits within(const PolicyCaps& caps, sandbox::Limits limits);
// policy_denied: `what` is above `cap`.
Error above_policy(const std::string& what, const std::string& cap);
// `rules`: of that egress. Where not all modes are allowed a list has to be one (network::wide_entry()); a credential
// has to be one that everybody may give, or to have been given by an administrator. Errors: policy_denied,
// credential_denied.
Status check_egress(const PolicyCaps& caps, const network::Egress& egress, std::span<const network::Rule> rules);
// `egress` is what `who` wants for a sandbox that has `before`: which of its credentials an administrator gives, or
// gave. Whether it may have the others check_egress() says.
void note_given(const Principal& who, network::Egress& egress, const network::Egress& before = {});
// Whether the kernel keeps to what `caps` set where `layers` are in force: a cap that nothing keeps is none. Error:
// limit_not_kept.
Status check_kept(const PolicyCaps& caps, const Layers& layers);
// In which sandboxes Profile::root is possible: their guests have the last of their ids, and those of others are 0 of
// the same range where ranges are shared. Root there would count for them, and could keep them from working.
enum class RootProfile : std::uint8_t { everywhere, in_image_host, nowhere };
// Error: profile_not_possible.
Status check_profile(RootProfile possible, const std::string& image, guest_protocol::Profile profile);
// Error: policy_denied.
Status check_profile(const PolicyCaps& caps, guest_protocol::Profile profile);
// Whether sandboxes may have models: asked when one is to get them, and for each of its requests. Error: policy_denied.
Status check_models(const PolicyCaps& caps, const ModelAccess& access);
// Of one thing: 64 labels and 64 KiB at most, as events and rows carry all of them. Errors: too_many_labels,
// invalid_name (one has none).
Status check_labels(const std::map<std::string, std::string>& labels);
// The time limit of a command: what it asks for, or no more than the cap of what it does not. Error: policy_denied.
Status settle_timeout(Command& command, std::chrono::milliseconds cap);

}  // namespace lmsb::control
