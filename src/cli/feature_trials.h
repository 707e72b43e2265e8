#pragma once
// feature_trials: tries kernel features on the machine as it is, and undoes what it did. Blocks for milliseconds.
#include "cli/machine.h"

namespace lmsb::cli {

Trial try_user_namespace();
Trial try_seccomp_filter();
Trial try_overlay();
Trial try_idmapped_mount();
Trial try_cgroup_kill();
Trial try_tcp_peer();

// The Landlock ABI version; 0 without Landlock.
int probe_landlock_abi();

}  // namespace lmsb::cli
