#include "server/json_edit.h"

#include <algorithm>

#include "json/writer.h"

namespace lmsb::server {

std::string with_members(json::Value object, const Members& members) {
  if (object.kind() != json::Kind::object) return object.text();
  const auto change_of = [&members](std::string_view name) {
    return std::find_if(members.begin(), members.end(), [name](const auto& member) { return member.first == name; });
  };
  json::Writer out;
  out.begin_object();
  for (const auto& [name, value] : object.members()) {
    const auto change = change_of(name);
    out.key(name).raw(change == members.end() ? value.text() : change->second);
  }
  for (const auto& [name, value] : members)
    if (!object.find(name)) out.key(name).raw(value);
  out.end_object();
  return std::move(out).str();
}

std::string_view text_of(json::Value object, std::string_view name) {
  const auto member = object.find(name);
  const auto text = member ? member->string() : std::nullopt;
  return text.value_or(std::string_view());
}

}  // namespace lmsb::server
