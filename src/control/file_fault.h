#pragma once
// What a file operation met, as an Error that says it in a sentence, and what to do. Pure.
#include <string_view>

#include "base/error.h"
#include "control/file_values.h"

namespace lmsb::control {

// `what` begins the message: "read". `operation` as in guest/file_program.h, `problem` as in
// guest_protocol/file_records.h.
Error file_error(std::string_view what, std::string_view operation, const SkippedFile& problem);

}  // namespace lmsb::control
