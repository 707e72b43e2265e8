#pragma once
// tar_block: the octets of a tar archive's headers: blocks with numbers as octal text and a sum, and the records of pax
// headers. What is read is hostile. No exceptions, no iostreams: the guest is linked with it. Pure.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lmsb::os::tar {

constexpr std::size_t kBlockSize = 512;

// struct posix_header of POSIX.1-2001, as offsets.
constexpr std::size_t kNameAt = 0;
constexpr std::size_t kNameSize = 100;  // of a link's target, too
constexpr std::size_t kModeAt = 100;
constexpr std::size_t kUidAt = 108;
constexpr std::size_t kGidAt = 116;
constexpr std::size_t kSizeAt = 124;
constexpr std::size_t kMtimeAt = 136;
constexpr std::size_t kSumAt = 148;
constexpr std::size_t kTypeAt = 156;
constexpr std::size_t kTargetAt = 157;
constexpr std::size_t kMagicAt = 257;
constexpr std::size_t kDevMajorAt = 329;
constexpr std::size_t kDevMinorAt = 337;
constexpr std::size_t kPrefixAt = 345;
constexpr std::size_t kPrefixSize = 155;
constexpr std::uint64_t kMaxOctal = 077777777777;  // eleven digits

using Block = std::array<char, kBlockSize>;

// What is missing to whole blocks.
constexpr std::size_t padding_of(std::uint64_t size) {
  return static_cast<std::size_t>((kBlockSize - size % kBlockSize) % kBlockSize);
}
bool is_zero(const Block& block);

void put_octal(Block& block, std::size_t at, int digits, std::uint64_t value);
// At most kNameSize octets of it.
void put_text(Block& block, std::size_t at, std::string_view text);
// What makes it a header: the magic, then the sum of all the rest.
void put_magic_and_sum(Block& block);
// One "SIZE KEY=VALUE\n" of a pax header; its size counts itself. Returns how much was appended, 0 when there is no
// room.
std::size_t put_record(char* at, std::size_t room, std::string_view key, std::string_view value);

std::string_view text_at(const Block& block, std::size_t at, std::size_t size);
// Octal text, or GNU's base 256 for what is larger. False for anything else.
bool number_at(const Block& block, std::size_t at, std::size_t size, std::uint64_t& value);
bool has_right_sum(const Block& block);
bool parse_decimal(std::string_view text, std::uint64_t& value);
// Takes the first record off `records`, which are not empty. False: there is none, or it is malformed.
bool take_record(std::string_view& records, std::string_view& key, std::string_view& value);

}  // namespace lmsb::os::tar
