#pragma once
// A map as octets and back: each text with its length before it. Pure.
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace lmsb::store {

std::string pack(const std::map<std::string, std::string>& map);
// Nothing: the octets are no such map.
std::optional<std::map<std::string, std::string>> unpack(std::string_view octets);

}  // namespace lmsb::store
