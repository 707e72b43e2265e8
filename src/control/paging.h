#pragma once
// Paging: how what there is of a kind is listed, one page after the other.
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lmsb::control {

// Order of creation; the id decides between equal times. Also what a cursor holds.
template <class Info>
std::string order_key(const Info& info) {
  return info.created_at + "/" + info.id;
}

// Whether some page of those whose ids begin with `prefix` could have had it as its cursor; "" = of sandboxes, whose
// ids have none.
inline bool is_cursor(std::string_view text, std::string_view prefix) {
  constexpr std::string_view kTime = "0000-00-00T00:00:00.000Z/";  // 0: a digit
  if (text.size() <= kTime.size()) return false;
  const auto fits = [](char form, char given) { return form == '0' ? given >= '0' && given <= '9' : form == given; };
  if (!std::equal(kTime.begin(), kTime.end(), text.begin(), fits)) return false;
  text.remove_prefix(kTime.size());
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string_view::npos;
}

// Those that come first of `items`, which are all behind the cursor: `info_of` one tells its place, `show` what the
// page has of it.
template <class Page, class Item, class InfoOf, class Show>
Page first_page(std::vector<const Item*> items, std::size_t limit, InfoOf info_of, Show show) {
  std::sort(items.begin(), items.end(),
            [&info_of](const Item* a, const Item* b) { return order_key(info_of(*a)) < order_key(info_of(*b)); });
  Page page;
  for (const Item* item : items) {
    if (page.data.size() == limit) {
      page.next_cursor = order_key(page.data.back());
      break;
    }
    page.data.push_back(show(*item));
  }
  return page;
}

}  // namespace lmsb::control
