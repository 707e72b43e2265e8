#include "control/connection_shares.h"

#include <algorithm>
#include <utility>

namespace lmsb::control {

std::unique_ptr<ConnectionShares::Place> ConnectionShares::enter(Tell tell) {
  const std::uint64_t number = next_++;
  places_[number];
  ++wanting_;
  settle();
  serve();
  places_[number].tell = std::move(tell);  // what it begins with it asks for
  return std::unique_ptr<Place>(new Place(shared_from_this(), number));
}

void ConnectionShares::leave(std::uint64_t number) {
  const auto found = places_.find(number);
  held_ -= found->second.held();
  if (found->second.share < part_) --wanting_;
  places_.erase(found);
  settle();
  serve();
}

void ConnectionShares::note(std::uint64_t number, std::uint32_t connections) {
  One& one = places_.at(number);
  held_ -= one.held();
  one.connections = std::min(connections, most_);  // a gate that lies keeps no more from others than it could have
  held_ += one.held();
  serve();
}

// It grows where that would do for a quarter more of them: else a few who come and go would change it each time.
void ConnectionShares::settle() {
  const auto fits = [this](std::uint64_t part, std::size_t count) { return part * count <= all_; };
  const std::size_t count = places_.size();
  std::uint32_t part = part_;
  while (part > 1 && !fits(part, count)) part = (part + 1) / 2;
  while (part < most_ && fits(std::uint64_t{2} * part, count + count / 4)) part = std::min(most_, 2 * part);
  if (part == part_) return;
  part_ = part;
  wanting_ = 0;
  for (auto& [number, one] : places_) {
    if (one.share > part_) set_share(one, part_);
    if (one.share < part_) ++wanting_;
  }
}

void ConnectionShares::set_share(One& one, std::uint32_t share) {
  held_ -= one.held();
  one.share = share;
  held_ += one.held();
  if (one.tell) one.tell(share);
}

void ConnectionShares::serve() {
  if (wanting_ == 0 || held_ >= all_) return;
  for (auto& [number, one] : places_) {
    if (one.share >= part_) continue;
    // What it has already is counted.
    const std::uint64_t free = all_ - held_ + (one.held() - one.share);
    const auto share = static_cast<std::uint32_t>(std::min<std::uint64_t>(part_, one.share + free));
    set_share(one, share);
    if (share == part_) --wanting_;
    if (held_ >= all_) return;
  }
}

}  // namespace lmsb::control
