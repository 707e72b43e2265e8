#pragma once
// The body of the original's endpoints, {"cmd": string}, and the answers that FastAPI with pydantic 2 gives to a bad
// one: 422 {"detail":[{"type","loc","msg","input"}]}, to the letter where the fault is one that FastAPI knows. What it
// passes over (other fields) is passed over here too.
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "http/message.h"

namespace lmsb::server {

constexpr std::size_t kMaxShellCommand = 131'071;  // octets; Linux takes no longer argument
constexpr std::size_t kMaxPrompt = 1'048'576;      // octets

// The text of `cmd`, or the answer that refuses the body: an empty one, no JSON, no object, no `cmd`, `cmd` that is no
// string, holds NUL or has more than `max_bytes`. An empty string is fine.
std::variant<std::string, http::Response> read_cmd(std::string_view body, std::size_t max_bytes);

}  // namespace lmsb::server
