#pragma once
// The processes of a sandbox, for the commands that need them all. Private to the commands.
#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/api.h"
#include "cli/flag_set.h"

namespace lmsb::cli {

// Where the API has them.
std::string processes_of(const std::string& sandbox);

// Its command as one line: a text for the shell as it is, words with blanks between.
std::string command_of(json::Value process);

// As the API answers. Blocks.
Result<json::Document> list_processes(Api& api, const std::string& sandbox);

// The ids of its detached processes, or of all that have not ended. Blocks.
enum class Which : std::uint8_t { detached, running };
Result<Words> ids_of(Api& api, const std::string& sandbox, Which which);

// Of a command that is about one process and finds none, or several.
Error not_one(const std::string& sandbox, bool none);

}  // namespace lmsb::cli
