#pragma once
// The detached processes of a sandbox, for the commands that need them all. Private to the commands.
#include <string>

#include "base/result.h"
#include "cli/api.h"
#include "cli/flag_set.h"

namespace lmsb::cli {

// Where the API has them.
std::string processes_of(const std::string& sandbox);

// As the API answers. Blocks.
Result<json::Document> list_processes(Api& api, const std::string& sandbox);

// Their ids; with `only_running` of those that have not ended. Blocks.
Result<Words> ids_of(Api& api, const std::string& sandbox, bool only_running);

// Of a command that is about one process and finds none, or several.
Error not_one(const std::string& sandbox, bool none);

}  // namespace lmsb::cli
