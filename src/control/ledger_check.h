#pragma once
// Ledger check: whether kernel, store and database have the same sandboxes, snapshots and volumes as the daemon says.
// What is only on its way, of something that is being made or removed, is looked at twice and not told.
#include <string>
#include <vector>

#include "control/control.h"
#include "control/fleet.h"
#include "control/ledger.h"
#include "control/registry.h"
#include "control/snapshots.h"
#include "control/volumes.h"
#include "io/task.h"

namespace lmsb::control {

// What is compared; all of it outlives the task.
struct Compared {
  Fleet& fleet;
  Registry& registry;
  Ledger& ledger;
  Snapshots& snapshots;
  Volumes& volumes;
};

// Errors: those of asking launcher and database.
io::Task<LedgerReport> check_ledger(Compared compared);

}  // namespace lmsb::control
