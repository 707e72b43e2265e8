#pragma once
// Patterns for paths: `*` and `?` within a name, `[a-z]` and `[!a-z]`, `**` as a whole component for any number of
// directories. Names that begin with a dot are names like others. Octets, not characters. Pure; linear in the length of
// what is matched, for each component of the pattern.
#include <array>
#include <cstdint>
#include <string_view>

namespace lmsb::guest {

// Whether one name matches a pattern without slashes.
bool name_matches(std::string_view pattern, std::string_view name);

class Glob {
 public:
  // Which components of the pattern the next name may meet.
  using State = std::uint64_t;
  static constexpr std::size_t kMaxComponents = 62;

  // The pattern outlives it; a slash in front counts for nothing. Check is_valid().
  explicit Glob(std::string_view pattern);
  // False: no pattern, more than 62 components, or "..".
  bool is_valid() const { return is_valid_; }

  State start() const { return close(1); }
  // After a name below what led to `state`; 0: nothing there or below can match.
  State next(State state, std::string_view name) const;
  // Whether the path that led to `state` matches.
  bool matches(State state) const { return (state >> count_ & 1U) != 0; }
  // Whether something below can match.
  bool goes_on(State state) const { return (state & ((State{1} << count_) - 1)) != 0; }

 private:
  State close(State state) const;

  std::array<std::string_view, kMaxComponents> components_{};
  std::size_t count_ = 0;
  bool is_valid_ = false;
};

}  // namespace lmsb::guest
