#pragma once
// Zip as APPNOTE.TXT 6.3.10 has it: the numbers that ZipReader and ZipWriter share. Private to them.
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace lmsb::guest::zip {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kDescriptor = 0x08074b50;
constexpr std::uint32_t kCentralHeader = 0x02014b50;
constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64 = 0x06064b50;
constexpr std::uint32_t kEnd64Locator = 0x07064b50;

// Octets of what has a fixed size, before names and the like.
constexpr std::size_t kLocalSize = 30;
constexpr std::size_t kCentralSize = 46;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kEnd64Size = 56;
constexpr std::size_t kLocatorSize = 20;

constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;

constexpr std::uint16_t kEncrypted = 1U << 0U;
constexpr std::uint16_t kHasDescriptor = 1U << 3U;
constexpr std::uint16_t kPatched = 1U << 5U;
constexpr std::uint16_t kStronglyEncrypted = 1U << 6U;
constexpr std::uint16_t kUtf8 = 1U << 11U;
constexpr std::uint16_t kMasked = 1U << 13U;

constexpr std::uint16_t kExtra64 = 0x0001;
constexpr std::uint16_t kExtraTime = 0x5455;  // seconds since 1970, of Info-ZIP

constexpr std::uint8_t kMadeByUnix = 3;
constexpr std::uint32_t kDosDirectory = 0x10;

// What stands where a zip64 field has the number.
constexpr std::uint16_t kSee64Short = 0xFFFF;
constexpr std::uint32_t kSee64 = 0xFFFFFFFF;

// DOS has years from 1980 to 2107, every other second, and no time zone: taken as UTC.
struct DosTime {
  std::uint16_t time = 0;
  std::uint16_t date = 0x21;  // 1980-01-01
};

inline DosTime to_dos(std::int64_t seconds) {
  using std::chrono::sys_days;
  const std::int64_t day = seconds / 86400;
  const std::chrono::year_month_day date{sys_days(std::chrono::days(static_cast<int>(day)))};
  const int year = static_cast<int>(date.year());
  if (seconds < 0 || year < 1980 || year > 2107) return {};
  const auto of_day = static_cast<unsigned>(seconds % 86400);
  const unsigned packed_date = static_cast<unsigned>(year - 1980) << 9U | static_cast<unsigned>(date.month()) << 5U |
                               static_cast<unsigned>(date.day());
  const unsigned packed_time = of_day / 3600 << 11U | of_day / 60 % 60 << 5U | of_day % 60 / 2;
  return {static_cast<std::uint16_t>(packed_time), static_cast<std::uint16_t>(packed_date)};
}

inline std::int64_t from_dos(DosTime dos) {
  const std::chrono::year_month_day date{std::chrono::year(1980 + (dos.date >> 9U)),
                                         std::chrono::month(dos.date >> 5U & 15U), std::chrono::day(dos.date & 31U)};
  if (!date.ok()) return 0;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * 86400 + (dos.time >> 11U) * 3600 + (dos.time >> 5U & 63U) * 60 + (dos.time & 31U) * 2;
}

}  // namespace lmsb::guest::zip
