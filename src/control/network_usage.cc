#include "control/network_usage.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <limits>
#include <string>
#include <unistd.h>

namespace lmsb::control {
namespace {

constexpr std::size_t kColumns = 16;  // eight of what came, eight of what went
constexpr std::size_t kSent = 8;
constexpr std::size_t kMostText = 1U << 20U;

Error another_text() { return Error(ErrorCode::internal, "the counters of network interfaces have another form"); }

void add(std::uint64_t& sum, std::uint64_t more) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  sum = more > kMost - sum ? kMost : sum + more;
}

// The numbers of one line, behind the name.
Result<std::array<std::uint64_t, kColumns>> numbers_of(std::string_view text) {
  std::array<std::uint64_t, kColumns> numbers{};
  for (std::uint64_t& number : numbers) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return another_text();
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty() && text.front() != ' ') return another_text();
  }
  return numbers;
}

Status add_line(NetworkUsage& usage, std::string_view line) {
  const std::size_t colon = line.find(':');  // no name has one
  if (colon == std::string_view::npos) return another_text();
  const std::string_view name = line.substr(0, colon);
  LMSB_TRY(const auto numbers, numbers_of(line.substr(colon + 1)));
  if (name.substr(std::min(name.find_first_not_of(' '), name.size())) == "lo") return {};
  add(usage.received_bytes, numbers[0]);
  add(usage.received_packets, numbers[1]);
  add(usage.sent_bytes, numbers[kSent]);
  add(usage.sent_packets, numbers[kSent + 1]);
  return {};
}

}  // namespace

Result<NetworkUsage> parse_network_counters(std::string_view text) {
  constexpr std::size_t kHeadings = 2;
  NetworkUsage usage;
  std::size_t lines = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return another_text();  // cut short
    if (++lines > kHeadings) LMSB_CHECK(add_line(usage, text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  if (lines < kHeadings) return another_text();
  return usage;
}

Result<NetworkUsage> read_network_counters(BorrowedFd counters) {
  std::string text;
  std::array<char, 16384> piece{};
  for (ssize_t n = 0; (n = ::read(counters.get(), piece.data(), piece.size())) != 0;) {
    if (n < 0) return Error::from_errno(errno, "read the counters of network interfaces");
    text.append(piece.data(), static_cast<std::size_t>(n));
    if (text.size() > kMostText) return another_text();
  }
  return parse_network_counters(text);
}

}  // namespace lmsb::control
