#pragma once
// The messages between a caller that wants to mount a directory into a sandbox (`run -v`) and the launcher's mount
// desk, over a SEQPACKET unix socket: one MountOffer with one O_PATH descriptor, one MountReply, end.
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace lmsb::sandbox {

// 128 random bits; the text form is 32 hexadecimal digits.
struct MountToken {
  std::array<std::uint8_t, 16> bytes{};
  bool operator==(const MountToken&) const = default;
};
std::string to_text(const MountToken& token);
std::optional<MountToken> parse_mount_token(const std::string& text);

constexpr std::uint32_t kMountOfferMagic = 0x4C4D4D4F;

struct MountOffer {
  std::uint32_t magic = kMountOfferMagic;
  std::uint32_t version = 1;
};

struct MountReply {
  std::int32_t error = 0;  // errno; 0 = token is set
  MountToken token;
};

}  // namespace lmsb::sandbox
