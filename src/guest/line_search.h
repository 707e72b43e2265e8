#pragma once
// Finding texts in octets: a fixed string, either letter case if asked, or a regular expression; and replacing a fixed
// string in a stream. Pure but for the regular expression's memory. One thread.
#include <cstdint>
#include <string_view>

#include "guest/regex.h"

namespace lmsb::guest {

// Where `needle` (not empty) begins in `text`; npos when it is nowhere in it.
std::size_t find_text(std::string_view text, std::string_view needle, LetterCase letter_case);

class LineMatcher {
 public:
  enum class Syntax : std::uint8_t { fixed, regex };

  // False: not a pattern. `pattern` outlives it.
  bool prepare(std::string_view pattern, Syntax syntax, LetterCase letter_case, Regex& regex);
  bool is_in(std::string_view line) const;

 private:
  std::string_view pattern_;
  LetterCase case_ = LetterCase::exact;
  Regex* regex_ = nullptr;  // owned by the caller of prepare(); null: a fixed string
};

// Lines of a stream that comes in pieces. Of a line longer than the room for it, only the beginning is looked at.
class LineSplitter {
 public:
  static constexpr std::size_t kMaxLine = 256 * 1024;

  class Reader {
   public:
    virtual ~Reader() = default;
    // Without its line break. False: no more.
    virtual bool line(std::uint64_t number, std::string_view text) = 0;
  };

  // `room` has kMaxLine octets.
  LineSplitter(char* room, Reader& reader) : room_(room), reader_(reader) {}
  // False once the reader wants no more.
  bool take(std::string_view piece);
  // The last line, if it has no line break.
  bool end();

 private:
  bool tell(std::string_view line) { return reader_.line(++number_, line); }

  char* room_;
  Reader& reader_;
  std::size_t kept_ = 0;  // of the present line
  bool has_begun_ = false;
  std::uint64_t number_ = 0;
};

// Replaces each `old_text` (not empty) in a stream by `new_text`. Memory: one old_text.
class Replacer {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual bool write(std::string_view octets) = 0;  // false ends it
  };
  static constexpr std::size_t kMaxText = 64 * 1024;

  // Both texts outlive it. `room` has 2 * kMaxText octets.
  Replacer(std::string_view old_text, std::string_view new_text, char* room, Sink& sink)
      : old_(old_text), new_(new_text), room_(room), sink_(sink) {}
  // Pieces of at most kMaxText octets. False when the sink has ended it.
  bool take(std::string_view piece);
  bool end();
  std::uint64_t replacements() const { return replacements_; }

 private:
  bool pass_on(std::string_view octets) { return octets.empty() || sink_.write(octets); }

  std::string_view old_;
  std::string_view new_;
  char* room_;
  Sink& sink_;
  std::size_t kept_ = 0;  // that could be the beginning of an old_text
  std::uint64_t replacements_ = 0;
};

}  // namespace lmsb::guest
