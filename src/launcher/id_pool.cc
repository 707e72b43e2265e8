#include "launcher/id_pool.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <string_view>

namespace lmsb::launcher {
namespace {

std::optional<std::uint64_t> field(std::string_view line, std::size_t index) {
  for (; index > 0; --index) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    line.remove_prefix(colon + 1);
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  return error == std::errc() && end != line.data() ? std::optional(value) : std::nullopt;
}

template <class F>
std::vector<IdPool::Span> parse_lines(const std::string& text, const F& span_of) {
  std::vector<IdPool::Span> spans;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (const auto span = span_of(line)) spans.push_back(*span);
  return spans;
}

}  // namespace

IdPool::IdPool(std::vector<Span> taken) : taken_(std::move(taken)) {}

bool IdPool::is_taken(std::uint32_t base) const {
  return std::any_of(taken_.begin(), taken_.end(), [&](const Span& span) {
    return span.first < std::uint64_t{base} + kIdRange && base < span.first + span.count;
  });
}

std::optional<std::uint32_t> IdPool::lease() {
  if (resting_.size() > kRest || (next_fresh_ > kLastBase && !resting_.empty())) {
    const std::uint32_t base = resting_.front();
    resting_.pop_front();
    return base;
  }
  while (next_fresh_ <= kLastBase && is_taken(next_fresh_)) next_fresh_ += kIdRange;
  if (next_fresh_ > kLastBase) return std::nullopt;
  const std::uint32_t base = next_fresh_;
  next_fresh_ += kIdRange;
  return base;
}

void IdPool::release(std::uint32_t base) { resting_.push_back(base); }

std::vector<IdPool::Span> parse_passwd(const std::string& text) {
  return parse_lines(text, [](std::string_view line) -> std::optional<IdPool::Span> {
    const auto uid = field(line, 2);
    return uid ? std::optional(IdPool::Span{*uid, 1}) : std::nullopt;
  });
}

std::vector<IdPool::Span> parse_subid(const std::string& text) {
  return parse_lines(text, [](std::string_view line) -> std::optional<IdPool::Span> {
    const auto first = field(line, 1);
    const auto count = field(line, 2);
    return first && count ? std::optional(IdPool::Span{*first, *count}) : std::nullopt;
  });
}

}  // namespace lmsb::launcher
