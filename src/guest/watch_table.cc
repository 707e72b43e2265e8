#include "guest/watch_table.h"

#include <algorithm>
#include <cstring>

namespace lmsb::guest {

int WatchTable::add(int watch, int parent, std::string_view name) {
  if (name.size() >= kName) return kNone;
  const auto begin = watches_.begin();
  const auto free = std::find(begin, begin + used_, 0);
  const auto place = static_cast<int>(free - begin);
  if (place == kMax) return kNone;
  used_ = std::max(used_, place + 1);
  const auto at = static_cast<std::size_t>(place);
  watches_[at] = watch;
  parents_[at] = parent;
  std::memcpy(names_[at].data(), name.data(), name.size());
  names_[at][name.size()] = '\0';
  ++size_;
  return place;
}

int WatchTable::find(int watch) const {
  if (watch <= 0) return kNone;
  const auto end = watches_.begin() + used_;
  const auto found = std::find(watches_.begin(), end, watch);
  return found == end ? kNone : static_cast<int>(found - watches_.begin());
}

int WatchTable::child(int parent, std::string_view name) const {
  for (std::size_t i = 0; i < static_cast<std::size_t>(used_); ++i)
    if (watches_[i] != 0 && parents_[i] == parent && name == names_[i].data()) return static_cast<int>(i);
  return kNone;
}

bool WatchTable::is_below(int place, int top) const {
  if (place >= used_ || watch(place) == 0) return false;
  for (int steps = 0; place != kNone && steps < kMax; ++steps, place = parent(place))
    if (place == top) return true;
  return false;
}

void WatchTable::remove(int place) {
  watches_[static_cast<std::size_t>(place)] = 0;
  --size_;
}

void WatchTable::remove_tree(int top) {
  std::array<bool, kMax> gone{};
  for (int i = 0; i < used_; ++i) gone[static_cast<std::size_t>(i)] = is_below(i, top);
  for (int i = 0; i < used_; ++i)
    if (gone[static_cast<std::size_t>(i)]) remove(i);
}

bool WatchTable::append_path(int place, os::PathBuffer& path) const {
  std::array<int, os::PathBuffer::kMax / 2 + 2> chain;  // NOLINT: written before it is read
  std::size_t length = 0;
  for (; parent(place) != kNone; place = parent(place)) {
    if (length == chain.size() || watch(place) == 0) return false;
    chain[length++] = place;
  }
  while (length > 0)
    if (!path.push(names_[static_cast<std::size_t>(chain[--length])].data())) return false;
  return true;
}

}  // namespace lmsb::guest
