#pragma once
// Bundle: several files as one stream, for `put` and `get`. Each entry is a BundleEntry, the path, the content. A get
// writes what could be read: an entry with error != 0 has no content. Its arguments are how many octets of content it
// writes at most, and the paths: a file that is longer than what is left of them it passes over, and goes on.
#include <cerrno>
#include <cstdint>

namespace lmsb::guest_protocol {

constexpr std::uint32_t kBundleMagic = 0x4C4D4246;
constexpr std::uint32_t kMaxBundlePath = 4095;
constexpr std::uint32_t kMaxBundleFiles = 1000;
constexpr std::int32_t kTooLargeForBundle = EFBIG;  // as an entry's error

struct BundleEntry {
  std::uint32_t magic;
  std::uint32_t path_size;
  std::uint64_t content_size;
  std::uint32_t mode;  // permission bits
  std::int32_t error;  // errno of a file that could not be read
};

}  // namespace lmsb::guest_protocol
