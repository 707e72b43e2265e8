#pragma once
// inputs: what a request takes from where the caller stands: variables, stdin, directories, volumes. All block.
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command_parts.h"
#include "cli/connection.h"
#include "cli/requests.h"

namespace lmsb::cli {

// -e and --env-file, with what the caller's environment has.
Result<Variables> variables_of(const EnvFlags& flags);

// Before anything is opened, which could take its place. Error: it is closed.
Status check_stdin();
// Whether stdin is a file, or nothing, that a request can hold (16 MiB).
bool can_be_read_whole();
// To its end. Error: more than that.
Result<std::string> read_stdin();

// Hands the directories of `mounts` over, and names the volumes; both come with the request. Errors: a directory that
// cannot be opened, or no socket to hand it over by.
enum class MissingVolumes : std::uint8_t { are_made, stay };
Status take_mounts(const std::vector<MountFlag>& mounts, MissingVolumes missing, Connection& connection,
                   Inputs& inputs);

}  // namespace lmsb::cli
