#pragma once
// Takeover: what an earlier daemon of this data directory left is this one's: its sandboxes, stopped, and the disks
// that nobody has any more.
#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "control/fleet.h"
#include "control/ledger.h"
#include "control/lifecycle.h"
#include "control/registry.h"
#include "io/task.h"

namespace lmsb::control {

struct Heirs {
  Fleet& fleet;
  Registry& registry;
  Ledger& ledger;
  Lifecycle& lifecycle;
};

// Opens the ledger and enters its sandboxes in the registry. Disks without a row were prepared for nobody, or about to
// be removed: they go, in a task that runs on; where there was no database at all they are entered as lost instead, and
// nothing is removed. A sandbox whose disk is not there is lost. Before anything else uses the registry; all references
// outlive the loop's tasks.
io::Task<void> take_over_sandboxes(boost::asio::io_context& loop, Heirs heirs, Logger& log);

}  // namespace lmsb::control
