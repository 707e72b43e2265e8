#pragma once
// Accept: which of several media types a client wants most (RFC 9110 section 12.5.1). Pure.
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "http/message.h"

namespace lmsb::server {

// The place in `types` of the one that Accept names with the highest q, and of equals the first; `otherwise` when it
// wants anything, or there is none; nothing when it wants only what is not there.
std::optional<std::size_t> most_wanted(const http::Headers& headers, std::span<const std::string_view> types,
                                       std::size_t otherwise);

}  // namespace lmsb::server
