#pragma once
// What users say of snapshots, of what is made from them, and of volumes: part of command_line.h.
#include <cstdint>
#include <optional>
#include <string>

#include "base/units.h"
#include "cli/command_parts.h"
#include "cli/flag_set.h"
#include "cli/values.h"

namespace lmsb::cli {

struct SnapshotCommand {
  Target target;
  std::string sandbox;
  std::string name;  // "" = none
};
struct SnapshotListCommand {
  Target target;
  std::string sandbox;  // "" = of all
  bool quiet = false;   // ids only
};
struct SnapshotInspectCommand {
  Target target;
  Words snapshots;
};
struct SnapshotRemoveCommand {
  Target target;
  Words snapshots;
};
struct SnapshotExportCommand {
  Target target;
  std::string snapshot;
  std::string file;  // "" = named as the snapshot, "-" = stdout
};
struct SnapshotImportCommand {
  Target target;
  std::string file;           // "-" = stdin
  std::string name;           // "" = as the file says
  std::optional<Bytes> disk;  // the same
};
struct ForkCommand {
  Target target;
  std::string sandbox;
  std::uint32_t count = 1;
};
struct RollbackCommand {
  Target target;
  std::string sandbox;
  std::string snapshot;
};
struct VolumeCreateCommand {
  Target target;
  std::string name;  // "" = none
  std::optional<Bytes> size;
  Variables labels;
};
struct VolumeListCommand {
  Target target;
  bool quiet = false;  // ids only
};
struct VolumeInspectCommand {
  Target target;
  Words volumes;
};
struct VolumeUpdateCommand {
  Target target;
  std::string volume;
  std::optional<Bytes> size;
  Variables labels;
  Words gone_labels;
};
struct VolumeRemoveCommand {
  Target target;
  Words volumes;
  bool force = false;  // one that is not there is no error
};

}  // namespace lmsb::cli
