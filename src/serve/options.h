#pragma once
// options: the settings as the daemon's parts want them. Pure, but for credential_settings() and door_policy().
#include <string>

#include "config/config.h"
#include "control/engine.h"
#include "control/models.h"
#include "fetch/download.h"
#include "launcher/starter.h"
#include "server/doors.h"

namespace lmsb::serve {

control::AdmissionOptions admission_options(const config::Config& config);
control::EngineOptions engine_options(const config::Config& config, launcher::Starter starter = launcher::Starter::root,
                                      bool has_own_ids = true);
control::PolicyCaps policy_caps(const config::Config& config);
// What [network] says of credentials, with their secrets. Errors: as network::parse_credentials(), and those of
// TlsContext::of_client(). Blocks, small.
Result<control::CredentialSettings> credential_settings(const config::Config& config);
control::ModelOptions model_options(const config::Config& config);
// What downloads of models keep to: `offline` reaches loopback alone. (An upstream is always one that was named.)
fetch::DownloadLimits download_limits(const config::Config& config);

// `url` as OpenAI's routes want it: one without a path, as people know their Ollama's, gets /v1. No slash at the end.
std::string upstream_base(std::string url);

// Who may come in. Asks the name services for the group's members, which may block; the policy does not. Started by a
// user it is that user alone, who is 0 where the daemon is; everybody else is shown there as somebody who is not
// mapped, or has an id of a sandbox's.
server::DoorPolicy door_policy(const config::Config& config, launcher::Starter starter = launcher::Starter::root);

}  // namespace lmsb::serve
