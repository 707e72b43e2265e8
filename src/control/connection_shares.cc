#include "control/connection_shares.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace lmsb::control {

std::unique_ptr<ConnectionShares::Place> ConnectionShares::enter(const std::string& owner, Tell tell) {
  const std::uint64_t number = next_++;
  const auto [of, is_new] = owners_.try_emplace(owner);
  if (is_new) of->second.part = most_;
  ++of->second.count;
  places_[number].owner = of;
  settle();
  serve();
  places_[number].tell = std::move(tell);  // what it begins with it asks for
  return std::unique_ptr<Place>(new Place(shared_from_this(), number));
}

void ConnectionShares::leave(std::uint64_t number) {
  const auto found = places_.find(number);
  const auto owner = found->second.owner;
  count(found->second, 0, 0);
  places_.erase(found);
  if (--owner->second.count == 0) owners_.erase(owner);
  settle();
  serve();
}

// A gate that lies keeps no more from others than it could have.
void ConnectionShares::note(std::uint64_t number, std::uint32_t connections) {
  One& one = places_.at(number);
  const std::uint64_t before = held_;
  count(one, one.share, std::min(connections, one.believed));
  if (one.connections <= one.share) one.believed = one.share;
  if (has_wanting_ && held_ < before) serve();
}

void ConnectionShares::count(One& one, std::uint32_t share, std::uint32_t connections) {
  const std::uint64_t before = one.held();
  one.share = share;
  one.connections = connections;
  held_ += one.held() - before;
  one.owner->second.held += one.held() - before;
}

std::uint64_t ConnectionShares::level() const {
  std::vector<std::uint64_t> wanted;
  wanted.reserve(owners_.size());
  for (const auto& [name, owner] : owners_) wanted.push_back(owner.count * most_);
  std::sort(wanted.begin(), wanted.end());
  std::uint64_t left = all_;
  std::uint64_t sharers = wanted.size() + 1;  // and whoever comes next
  for (const std::uint64_t one : wanted) {
    if (one > left / sharers) break;
    left -= one;
    --sharers;
  }
  return left / sharers;
}

// It grows where that would do for a quarter more: else a few who come and go would change it each time.
std::uint32_t ConnectionShares::part_of(const Owner& owner, std::uint64_t level) const {
  std::uint32_t part = owner.part;
  while (part > 1 && part * owner.count > level) part = (part + 1) / 2;
  while (part < most_ && std::uint64_t{5} * part * owner.count <= 2 * level) part = std::min(most_, 2 * part);
  return part;
}

void ConnectionShares::settle() {
  const std::uint64_t most_of_one = level();
  for (auto& [name, owner] : owners_) owner.part = part_of(owner, most_of_one);
  for (auto& [number, one] : places_)
    if (one.share > one.owner->second.part) set_share(one, one.owner->second.part);
}

void ConnectionShares::set_share(One& one, std::uint32_t share) {
  count(one, share, one.connections);
  one.believed = std::max(one.believed, share);  // what it has beyond a smaller one goes on
  if (one.tell) one.tell(share);
}

std::uint64_t ConnectionShares::room_of(const Owner& owner) const {
  return held_ + owner.held < all_ ? (all_ - held_ - owner.held) / 2 : 0;
}

void ConnectionShares::serve() {
  has_wanting_ = false;
  for (auto& [number, one] : places_) {
    const Owner& owner = one.owner->second;
    if (one.share >= owner.part) continue;
    const std::uint64_t may = one.held() + room_of(owner);  // what it has already is counted
    const auto share = static_cast<std::uint32_t>(std::min<std::uint64_t>(owner.part, may));
    if (share > one.share) set_share(one, share);
    if (share < owner.part) has_wanting_ = true;
  }
}

}  // namespace lmsb::control
