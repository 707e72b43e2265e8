#pragma once
// NameAddresses: the addresses that a gate gives its sandbox for names, from 198.18.0.0/15, which is nobody's outside:
// so a connection says which name it is for, whatever its protocol. Each name keeps its own until kMost newer ones have
// come. One thread.
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace lmsb::network {

class NameAddresses {
 public:
  static constexpr std::size_t kMost = 4096;
  static constexpr std::uint32_t kFirst = 0xC6120001;  // 198.18.0.1
  static constexpr std::uint32_t kLast = 0xC613FFFE;   // 198.19.255.254

  std::uint32_t address_of(const std::string& name);
  // Nothing: it was given for no name, or long ago.
  std::optional<std::string> name_of(std::uint32_t address) const;
  static bool is_one(std::uint32_t address) { return address >= kFirst - 1 && address <= kLast + 1; }

 private:
  std::map<std::string, std::uint32_t> by_name_;
  std::map<std::uint32_t, std::string> by_address_;
  std::uint32_t next_ = kFirst;
  std::uint32_t oldest_ = kFirst;
};

}  // namespace lmsb::network
