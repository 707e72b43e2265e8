#pragma once
// Named: what users mean by an id, a name, or the beginning of an id that nothing else begins with.
#include <string>
#include <string_view>
#include <vector>

namespace lmsb::control {

// Those of `all`, by id, that `named` may mean: the one of that id; else those of that name; else those whose ids begin
// with it, which says more than `kind`, what all ids begin with. `sees` tells which there are for who asks, `name_of`
// their names.
template <class All, class Sees, class NameOf>
auto find_named(All& all, const std::string& named, std::string_view kind, Sees sees, NameOf name_of) {
  using Found = std::vector<decltype(&all.begin()->second)>;
  Found by_name;
  Found by_prefix;
  if (named.empty()) return by_name;
  if (const auto exact = all.find(named); exact != all.end()) {
    if (sees(exact->second)) by_name.push_back(&exact->second);
    return by_name;
  }
  for (auto& [id, item] : all) {
    if (!sees(item)) continue;
    if (name_of(item) == named) by_name.push_back(&item);
    if (named.size() > kind.size() && id.starts_with(named)) by_prefix.push_back(&item);
  }
  return by_name.empty() ? by_prefix : by_name;
}

}  // namespace lmsb::control
