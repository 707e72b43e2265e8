#pragma once
// What Python's json module says about a text that is not JSON, for the original endpoints' 422: FastAPI passes its
// message and position on, and clients have seen them.
#include <cstddef>
#include <optional>
#include <string_view>

namespace lmsb::server {

struct PythonJsonError {
  std::size_t position = 0;  // in characters, not octets
  std::string_view message;  // "Expecting value"
};

// The error of Python 3.11's json.loads(text); nothing when that would accept it, or it is nested too deep to say.
// `text` is well-formed UTF-8.
std::optional<PythonJsonError> python_json_error(std::string_view text);

}  // namespace lmsb::server
