#pragma once
// archive_magic: what has come instead of an archive that was expected. Header only, no allocation: the guest is linked
// with it. Pure.
#include <array>
#include <string_view>

namespace lmsb::os {

// Of the longest of them.
constexpr std::size_t kMagicSize = 6;

// Whether it begins as gzip, bzip2, xz, zstd or zip do, which anybody may mean.
inline bool begins_as_known_format(std::string_view octets) {
  using namespace std::string_view_literals;
  constexpr std::array kMagics = {"\x1F\x8B"sv,         "BZh"sv,        "\xFD\x37zXZ\0"sv,
                                  "\x28\xB5\x2F\xFD"sv, "PK\x03\x04"sv, "PK\x05\x06"sv};
  for (const std::string_view magic : kMagics)
    if (octets.starts_with(magic)) return true;
  return false;
}

}  // namespace lmsb::os
