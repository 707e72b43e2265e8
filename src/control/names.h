#pragma once
// Names and labels of what users keep: sandboxes, snapshots, volumes. Pure.
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sandbox/disk_id.h"

namespace lmsb::control {

using Labels = std::map<std::string, std::string>;

using sandbox::kSnapshotPrefix;  // of their ids
using sandbox::kVolumePrefix;

// That of a name which is none.
Error invalid_name();
// "" is fine: it has none. Error: invalid_name.
Status check_name(const std::string& name);
// That of a `kind` ("snapshot") which cannot have the name that another one has.
Error name_taken(std::string_view kind, const std::string& name);
// Whether `all` has each of `wanted`, with its value.
bool has_labels(const Labels& all, const Labels& wanted);
// Nothing: the label goes. Error: too_many_labels, and then they are as they were.
Status change_labels(Labels& labels, std::map<std::string, std::optional<std::string>> changes);

}  // namespace lmsb::control
