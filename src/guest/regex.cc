#include "guest/regex.h"

#include <algorithm>
#include <utility>

namespace lmsb::guest {
namespace {

constexpr std::size_t kNoLimit = ~std::size_t{0};

bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool is_word_at(std::string_view line, std::size_t position) {
  return position < line.size() && is_word(line[position]);
}

bool is_edge(std::string_view line, std::size_t position) {
  return is_word_at(line, position) != (position > 0 && is_word(line[position - 1]));
}

std::bitset<256> range(unsigned char low, unsigned char high) {
  std::bitset<256> octets;
  for (unsigned c = low; c <= high; ++c) octets.set(c);
  return octets;
}

std::bitset<256> digits() { return range('0', '9'); }
std::bitset<256> letters() { return range('a', 'z') | range('A', 'Z'); }
std::bitset<256> blanks() { return range('\t', '\r') | range(' ', ' '); }

struct NamedClass {
  std::string_view name;
  std::bitset<256> (*octets)();
};
constexpr std::array<NamedClass, 11> kClasses = {{
    {"alpha", letters},
    {"digit", digits},
    {"alnum", [] { return letters() | digits(); }},
    {"upper", [] { return range('A', 'Z'); }},
    {"lower", [] { return range('a', 'z'); }},
    {"space", blanks},
    {"blank", [] { return range(' ', ' ') | range('\t', '\t'); }},
    {"punct", [] { return range('!', '~') & ~(letters() | digits()); }},
    {"print", [] { return range(' ', '~'); }},
    {"xdigit", [] { return digits() | range('a', 'f') | range('A', 'F'); }},
    {"cntrl", [] { return range(0, 31) | range(127, 127); }},
}};

}  // namespace

bool Regex::take(char c) {
  if (at_end() || peek() != c) return false;
  ++position_;
  return true;
}

bool Regex::emit(const Instruction& instruction) {
  if (size_ >= kMaxProgram) return false;
  program_[size_++] = instruction;
  return true;
}

// Before a fragment that has no jumps but within itself.
bool Regex::insert(std::size_t at, const Instruction& instruction) {
  if (size_ >= kMaxProgram) return false;
  std::copy_backward(program_.begin() + static_cast<std::ptrdiff_t>(at),
                     program_.begin() + static_cast<std::ptrdiff_t>(size_),
                     program_.begin() + static_cast<std::ptrdiff_t>(size_ + 1));
  program_[at] = instruction;
  ++size_;
  return true;
}

bool Regex::emit_octets(Octets octets) {
  if (case_ == LetterCase::any)
    for (std::size_t i = 0; i < 26; ++i) {
      const bool either = octets['a' + i] || octets['A' + i];
      octets['a' + i] = either;
      octets['A' + i] = either;
    }
  Instruction instruction;
  instruction.op = Op::octets;
  instruction.octets = octets;
  return emit(instruction);
}

bool Regex::compile(std::string_view pattern, LetterCase letter_case) {
  pattern_ = pattern;
  case_ = letter_case;
  position_ = size_ = nesting_ = 0;
  if (!parse_alternatives() || !at_end() || !emit(Instruction{})) return false;
  find_first_octets();
  return true;
}

bool Regex::parse_alternatives() {
  if (++nesting_ > kMaxNesting) return false;
  const std::size_t begin = size_;
  if (!parse_sequence()) return false;
  if (take('|')) {
    Instruction split;
    split.op = Op::split;
    split.first = 1;
    split.second = static_cast<std::int16_t>(size_ - begin + 2);
    Instruction jump;
    jump.op = Op::jump;
    if (!insert(begin, split) || !emit(jump)) return false;
    const std::size_t jump_at = size_ - 1;
    if (!parse_alternatives()) return false;
    program_[jump_at].first = static_cast<std::int16_t>(size_ - jump_at);
  }
  --nesting_;
  return true;
}

bool Regex::parse_sequence() {
  while (!at_end() && peek() != '|' && peek() != ')')
    if (!parse_repeated()) return false;
  return true;
}

bool Regex::parse_repeated() {
  const std::size_t begin = size_;
  if (!parse_atom()) return false;
  while (!at_end()) {
    std::size_t low = 0;
    std::size_t high = kNoLimit;
    if (take('*')) {
    } else if (take('+')) {
      low = 1;
    } else if (take('?')) {
      high = 1;
    } else if (peek() == '{') {
      if (!parse_count(low, high)) return false;
    } else {
      return true;
    }
    (void)take('?');  // lazy: which match is found does not matter
    if (!repeat(begin, low, high)) return false;
  }
  return true;
}

// {m}, {m,}, {m,n}
bool Regex::parse_count(std::size_t& low, std::size_t& high) {
  const auto number = [this](std::size_t& value) {
    const std::size_t before = position_;
    for (value = 0; !at_end() && peek() >= '0' && peek() <= '9' && value <= kMaxRepeat; ++position_)
      value = value * 10 + static_cast<std::size_t>(peek() - '0');
    return position_ > before && value <= kMaxRepeat;
  };
  if (!take('{') || !number(low)) return false;
  high = low;
  if (take(',')) {
    high = kNoLimit;
    if (!at_end() && peek() != '}' && !number(high)) return false;
  }
  return take('}') && low <= high;
}

// The fragment from `begin` on stands once: makes it stand `low` to `high` times.
bool Regex::repeat(std::size_t begin, std::size_t low, std::size_t high) {
  const std::size_t length = size_ - begin;
  Instruction split;
  split.op = Op::split;
  split.first = 1;
  if (high == 0) {
    size_ = begin;
    return true;
  }
  const auto copy_fragment = [&] {
    for (std::size_t i = 0; i < length; ++i)
      if (!emit(program_[begin + i])) return false;
    return true;
  };
  if (low == 0 && high == kNoLimit) {
    split.second = static_cast<std::int16_t>(length + 2);
    Instruction jump;
    jump.op = Op::jump;
    jump.first = static_cast<std::int16_t>(-static_cast<std::int16_t>(length) - 1);
    return insert(begin, split) && emit(jump);
  }
  for (std::size_t i = 1; i < low; ++i)
    if (!copy_fragment()) return false;
  if (high == kNoLimit) {  // the last one again and again
    split.first = static_cast<std::int16_t>(-static_cast<std::int16_t>(length));
    split.second = 1;
    return emit(split);
  }
  split.second = static_cast<std::int16_t>(length + 1);
  std::size_t more = high - std::max<std::size_t>(low, 1);
  if (low > 0) {
    for (; more > 0; --more)
      if (!emit(split) || !copy_fragment()) return false;
    return true;
  }
  if (!insert(begin, split)) return false;  // x{0,n}: its split comes first
  for (; more > 0; --more)
    for (std::size_t i = 0; i < length + 1; ++i)
      if (!emit(program_[begin + i])) return false;
  return true;
}

bool Regex::parse_atom() {
  const char c = peek();
  ++position_;
  Instruction assertion;
  switch (c) {
    case '(':
      if (take('?') && !take(':')) return false;  // look-around, names, flags
      return parse_alternatives() && take(')');
    case '[': return parse_bracket();
    case '.': return emit_octets(~range('\n', '\n'));
    case '^': assertion.op = Op::line_begin; return emit(assertion);
    case '$': assertion.op = Op::line_end; return emit(assertion);
    case '\\': return parse_escape();
    case '*':
    case '+':
    case '?':
    case '{': return false;  // nothing to repeat
    default: return emit_octets(range(static_cast<unsigned char>(c), static_cast<unsigned char>(c)));
  }
}

bool Regex::escaped_octets(char letter, Octets& octets) const {
  switch (letter) {
    case 'd': octets = digits(); return true;
    case 'D': octets = ~digits(); return true;
    case 'w': octets = letters() | digits() | range('_', '_'); return true;
    case 'W': octets = ~(letters() | digits() | range('_', '_')); return true;
    case 's': octets = blanks(); return true;
    case 'S': octets = ~blanks(); return true;
    case 't': octets = range('\t', '\t'); return true;
    case 'r': octets = range('\r', '\r'); return true;
    default: break;
  }
  if (is_word(letter)) return false;  // a back reference, or what we do not know
  octets = range(static_cast<unsigned char>(letter), static_cast<unsigned char>(letter));
  return true;
}

bool Regex::parse_escape() {
  if (at_end()) return false;
  const char letter = peek();
  ++position_;
  Instruction assertion;
  assertion.op = letter == 'b' ? Op::word_edge : Op::no_word_edge;
  if (letter == 'b' || letter == 'B') return emit(assertion);
  Octets octets;
  return escaped_octets(letter, octets) && emit_octets(octets);
}

// [:alpha:] at the present position, if it is one.
bool Regex::named_class(Octets& octets) {
  for (const NamedClass& known : kClasses) {
    const std::string_view rest = pattern_.substr(position_);
    if (rest.size() < known.name.size() + 4 || !rest.starts_with("[:") ||
        rest.substr(2, known.name.size()) != known.name || rest.substr(2 + known.name.size(), 2) != ":]")
      continue;
    octets |= known.octets();
    position_ += known.name.size() + 4;
    return true;
  }
  return false;
}

bool Regex::parse_bracket() {
  const bool inverted = take('^');
  Octets octets;
  for (bool first = true;; first = false) {
    if (at_end()) return false;
    if (peek() == ']' && !first) break;
    if (named_class(octets)) continue;
    char low = peek();
    ++position_;
    if (low == '\\') {
      if (at_end()) return false;
      Octets escaped;
      low = peek();
      ++position_;
      if (!escaped_octets(low, escaped)) return false;
      if (escaped.count() != 1) {
        octets |= escaped;
        continue;
      }
      for (std::size_t i = 0; i < 256; ++i)
        if (escaped[i]) low = static_cast<char>(i);
    }
    char high = low;
    if (position_ + 1 < pattern_.size() && peek() == '-' && pattern_[position_ + 1] != ']') {
      high = pattern_[position_ + 1];
      position_ += 2;
      if (high == '\\' || static_cast<unsigned char>(high) < static_cast<unsigned char>(low)) return false;
    }
    octets |= range(static_cast<unsigned char>(low), static_cast<unsigned char>(high));
  }
  ++position_;
  if (!inverted) return emit_octets(octets);
  if (case_ == LetterCase::any)  // the inverse of both cases, not both cases of the inverse
    for (std::size_t i = 0; i < 26; ++i)
      if (octets['a' + i] || octets['A' + i]) octets.set('a' + i).set('A' + i);
  return emit_octets(~octets);
}

// Adds what is reached from `at` without reading an octet.
void Regex::add(Threads& threads, std::uint16_t at, std::string_view line, std::size_t position) {
  std::array<std::uint16_t, kMaxProgram + 2> stack;  // NOLINT: written before it is read; one more a visit at most
  std::size_t depth = 0;
  stack[depth++] = at;
  while (depth > 0) {
    const std::uint16_t here = stack[--depth];
    if (seen_[here] == generation_) continue;
    seen_[here] = generation_;
    const Instruction& instruction = program_[here];
    const auto next = static_cast<std::uint16_t>(here + 1);
    const auto go = [&](bool holds) {
      if (holds) stack[depth++] = next;
    };
    switch (instruction.op) {
      case Op::octets: threads.list[threads.count++] = here; break;
      case Op::jump: stack[depth++] = static_cast<std::uint16_t>(here + instruction.first); break;
      case Op::split:
        stack[depth++] = static_cast<std::uint16_t>(here + instruction.second);
        stack[depth++] = static_cast<std::uint16_t>(here + instruction.first);
        break;
      case Op::line_begin: go(position == 0); break;
      case Op::line_end: go(position == line.size()); break;
      case Op::word_edge: go(is_edge(line, position)); break;
      case Op::no_word_edge: go(!is_edge(line, position)); break;
      case Op::match: matched_ = true; return;
    }
  }
}

void Regex::find_first_octets() {
  first_.reset();
  may_be_empty_ = false;
  std::array<bool, kMaxProgram> seen{};
  std::array<std::uint16_t, 2 * kMaxProgram> stack;  // NOLINT: written before it is read
  std::size_t depth = 0;
  stack[depth++] = 0;
  while (depth > 0) {
    const std::uint16_t here = stack[--depth];
    if (std::exchange(seen[here], true)) continue;
    const Instruction& instruction = program_[here];
    switch (instruction.op) {
      case Op::octets: first_ |= instruction.octets; break;
      case Op::split: stack[depth++] = static_cast<std::uint16_t>(here + instruction.second); [[fallthrough]];
      case Op::jump: stack[depth++] = static_cast<std::uint16_t>(here + instruction.first); break;
      default: may_be_empty_ = true; break;
    }
  }
}

bool Regex::is_in(std::string_view line) {
  Threads* now = &threads_[0];
  Threads* next = &threads_[1];
  now->count = 0;
  matched_ = false;
  const auto new_generation = [this] {
    if (++generation_ == 0) {
      seen_.fill(0);
      generation_ = 1;
    }
  };
  new_generation();
  for (std::size_t position = 0;; ++position) {
    if (now->count == 0 && !may_be_empty_) {
      while (position < line.size() && !first_[static_cast<unsigned char>(line[position])]) ++position;
      new_generation();
    }
    add(*now, 0, line, position);  // a match may begin at every position
    if (matched_) return true;
    if (position >= line.size()) return false;
    new_generation();
    next->count = 0;
    const auto octet = static_cast<unsigned char>(line[position]);
    for (std::size_t i = 0; i < now->count; ++i)
      if (program_[now->list[i]].octets[octet])
        add(*next, static_cast<std::uint16_t>(now->list[i] + 1), line, position + 1);
    if (matched_) return true;
    std::swap(now, next);
  }
}

}  // namespace lmsb::guest
