#pragma once
// Regex: regular expressions in time linear in the text (a simulated automaton, no backtracking), in constant memory.
//
// Syntax: . [a-z] [^a-z] [[:alpha:]] \d \w \s \D \W \S \t \b \B ^ $ ( ) (?: ) | * + ? {m} {m,} {m,n}; a ? behind a
// quantifier changes nothing, because only whether a line matches is asked. Octets, not characters. No back references,
// no look-around: compile() refuses them. One thread.
#include <array>
#include <bitset>
#include <cstdint>
#include <string_view>

namespace lmsb::guest {

enum class LetterCase : std::uint8_t { exact, any };  // any: ASCII letters match either case

class Regex {
 public:
  static constexpr std::size_t kMaxProgram = 2000;  // instructions
  static constexpr std::size_t kMaxNesting = 100;
  static constexpr std::size_t kMaxRepeat = 1000;

  // False: not a regular expression of ours, or too large a one. Memory of the process: keep one.
  bool compile(std::string_view pattern, LetterCase letter_case);
  // Whether it matches somewhere in `line`.
  bool is_in(std::string_view line);

 private:
  using Octets = std::bitset<256>;
  enum class Op : std::uint8_t { match, octets, split, jump, line_begin, line_end, word_edge, no_word_edge };
  struct Instruction {
    Op op = Op::match;
    std::int16_t first = 0;   // jumps: relative
    std::int16_t second = 0;  // of a split
    Octets octets;
  };
  struct Threads {
    std::array<std::uint16_t, kMaxProgram> list{};
    std::size_t count = 0;
  };

  bool emit(const Instruction& instruction);
  bool insert(std::size_t at, const Instruction& instruction);
  bool emit_octets(Octets octets);
  bool parse_alternatives();
  bool parse_sequence();
  bool parse_repeated();
  bool parse_atom();
  bool parse_escape();
  bool parse_bracket();
  bool parse_count(std::size_t& low, std::size_t& high);
  bool repeat(std::size_t begin, std::size_t low, std::size_t high);
  bool escaped_octets(char letter, Octets& octets) const;
  bool named_class(Octets& octets);
  bool at_end() const { return position_ >= pattern_.size(); }
  char peek() const { return pattern_[position_]; }
  bool take(char c);

  void add(Threads& threads, std::uint16_t at, std::string_view line, std::size_t position);
  void find_first_octets();

  std::string_view pattern_;
  std::size_t position_ = 0;
  std::size_t nesting_ = 0;
  LetterCase case_ = LetterCase::exact;
  std::array<Instruction, kMaxProgram> program_{};
  std::size_t size_ = 0;
  Octets first_;               // what a match can begin with
  bool may_be_empty_ = false;  // or it can begin with nothing, or an assertion

  std::array<Threads, 2> threads_;
  std::array<std::uint32_t, kMaxProgram> seen_{};
  std::uint32_t generation_ = 0;
  bool matched_ = false;
};

}  // namespace lmsb::guest
