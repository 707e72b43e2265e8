#pragma once
// Takeover: what an earlier daemon of this data directory left is this one's: its sandboxes, those that have gone on
// without it and the others stopped, and their disks.
#include <functional>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "control/admission.h"
#include "control/event_log.h"
#include "control/fleet.h"
#include "control/idempotency.h"
#include "control/keys.h"
#include "control/ledger.h"
#include "control/lifecycle.h"
#include "control/model_channels.h"
#include "control/networks.h"
#include "control/policy.h"
#include "control/processes.h"
#include "control/registry.h"
#include "control/snapshots.h"
#include "control/volumes.h"
#include "io/task.h"

namespace lmsb::control {

struct Heirs {
  Fleet& fleet;
  Registry& registry;
  Keys& keys;
  IdempotentAnswers& answers;
  EventLog& events;
  Ledger& ledger;
  Lifecycle& lifecycle;
  Processes& processes;
  Snapshots& snapshots;
  Volumes& volumes;
  Admission& admission;
  Networks& networks;
  ModelChannels& models;
  PolicyCaps caps;
  std::function<void(const KeptSandbox& sandbox)> keep_models;  // what it uses of them is to be written down
  Logger& log;
};

// Opens the ledger and enters its sandboxes in the registry, and its snapshots; ends the removals that had begun, and
// what runs of which it knows nothing. Row
// and disk are compared anew each time, and nothing is written down of it: a sandbox whose disk is not there is lost,
// and so is, by its id alone, what a disk without a row may have been. Only disks that were never claimed are removed.
// Before anything else uses the registry or makes a sandbox with a disk; all references outlive the loop's tasks, of
// which those that take up slow guests go on behind this one.
io::Task<void> take_over_sandboxes(boost::asio::io_context& loop, Heirs heirs);

}  // namespace lmsb::control
