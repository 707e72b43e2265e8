#include "network/name_addresses.h"

namespace lmsb::network {

std::uint32_t NameAddresses::address_of(const std::string& name) {
  if (const auto found = by_name_.find(name); found != by_name_.end()) return found->second;
  const auto after = [](std::uint32_t address) { return address == kLast ? kFirst : address + 1; };
  if (by_name_.size() >= kMost) {
    const auto oldest = by_address_.find(oldest_);
    by_name_.erase(oldest->second);
    by_address_.erase(oldest);
    oldest_ = after(oldest_);
  }
  const std::uint32_t address = next_;
  next_ = after(next_);
  by_name_[name] = address;
  by_address_[address] = name;
  return address;
}

std::optional<std::string> NameAddresses::name_of(std::uint32_t address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace lmsb::network
