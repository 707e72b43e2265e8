#pragma once
// JSON edit: a JSON object written again with some of its members changed. Pure.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json/value.h"

namespace lmsb::server {

// Names, and their values as JSON text.
using Members = std::vector<std::pair<std::string_view, std::string>>;

// `object` as text, each of `members` in its old place, or behind all others. What is no object comes as it is.
std::string with_members(json::Value object, const Members& members);
// The text of the string `name` of an object; "" where there is none.
std::string_view text_of(json::Value object, std::string_view name);

}  // namespace lmsb::server
