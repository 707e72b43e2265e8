#include "control/event_ring.h"

#include <algorithm>
#include <utility>

namespace lmsb::control {
namespace {

std::uint64_t size_of(const Event& event) {
  constexpr std::uint64_t kOfEach = 256;  // what holds it
  std::uint64_t size = kOfEach + event.name.size() + event.owner.size() + event.by.size();
  for (const auto& [name, value] : event.labels) size += name.size() + value.size() + kOfEach;
  return size;
}

}  // namespace

void EventRing::add(Event event, std::uint64_t turn) {
  size_ += size_of(event);
  items_.push_back({last() + 1, turn, std::move(event)});
  while (items_.size() > most_ || (size_ > most_size_.count() && items_.size() > 1)) {
    size_ -= size_of(items_.front().event);
    dropped_number_ = items_.front().event.number;
    ++dropped_;
    items_.pop_front();
  }
}

const EventRing::Item* EventRing::after(std::uint64_t index) const {
  if (index >= last()) return nullptr;
  return index < dropped_ ? &items_.front() : &items_[index - dropped_];
}

std::uint64_t EventRing::index_of(std::uint64_t number) const {
  const auto is_later = [](std::uint64_t wanted, const Item& item) { return wanted < item.event.number; };
  const auto first = std::upper_bound(items_.begin(), items_.end(), number, is_later);
  return dropped_ + static_cast<std::uint64_t>(first - items_.begin());
}

}  // namespace lmsb::control
