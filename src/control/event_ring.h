#pragma once
// EventRing: the newest events, in the order in which they came. Bounded by their number and by their size. One thread.
#include <cstdint>
#include <deque>

#include "base/units.h"
#include "control/events.h"

namespace lmsb::control {

class EventRing {
 public:
  struct Item {
    std::uint64_t index = 0;  // rises by one from item to item, from 1
    std::uint64_t turn = 0;   // its place among the items of several rings
    Event event;
  };

  EventRing(std::size_t most, Bytes most_size) : most_(most), most_size_(most_size) {}

  // Drops the oldest where there is no room.
  void add(Event event, std::uint64_t turn);
  // The oldest behind that index; nullptr: none yet.
  const Item* after(std::uint64_t index) const;
  // Of the newest item whose event has that number or a lower one; of the one before all that there are.
  std::uint64_t index_of(std::uint64_t number) const;
  std::uint64_t last() const { return dropped_ + items_.size(); }  // index of the newest
  const std::deque<Item>& items() const { return items_; }
  // The number of the newest event that was dropped; 0: none was.
  std::uint64_t dropped_number() const { return dropped_number_; }

 private:
  std::size_t most_;
  Bytes most_size_;
  std::deque<Item> items_;
  std::uint64_t dropped_ = 0;  // items
  std::uint64_t dropped_number_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace lmsb::control
