#pragma once
// Console: where a command of the CLI prints, and the few shapes of what it prints: octets, tables, one-line notes.
//
// Data goes to out, everything about it to err. Commands take a Console& so that tests read what they print.
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace lmsb::cli {

// One thread at a time. Blocks as long as the descriptors behind it block.
class Console {
 public:
  virtual ~Console() = default;
  virtual void out(std::string_view octets) = 0;
  virtual void err(std::string_view octets) = 0;
  // Whether colours may be used on out: a terminal, and NO_COLOR is not set.
  virtual bool color() const { return false; }
  // Whether all that went to out arrived; false after a closed pipe or a full disk.
  virtual bool complete() const { return true; }
  // False once a pipe behind out was closed by who read it.
  virtual bool has_reader() const { return true; }
};

// The process's own stdout and stderr, unbuffered.
class StandardConsole final : public Console {
 public:
  StandardConsole();
  void out(std::string_view octets) override;
  void err(std::string_view octets) override;
  bool color() const override { return color_; }
  bool complete() const override { return complete_; }
  bool has_reader() const override { return has_reader_; }

 private:
  bool color_ = false;
  bool complete_ = true;
  bool has_reader_ = true;
};

// Keeps what is printed. For tests.
class RecordingConsole final : public Console {
 public:
  void out(std::string_view octets) override { out_text += octets; }
  void err(std::string_view octets) override { err_text += octets; }
  std::string out_text;
  std::string err_text;
};

// `lm-sandbox: text` as one line on err; line breaks and control characters in `text` become spaces.
void note(Console& console, std::string_view text);

// An error as one line on err: what, why, and what to do.
void report(Console& console, const Error& error);

using Row = std::vector<std::string>;

// Left-aligned columns, two spaces apart, `header` first; no blanks at the end of a line. Control characters in cells
// become '?': names and messages come from elsewhere and must not drive the terminal.
std::string format_table(const Row& header, const std::vector<Row>& rows);

// `text` without control characters (also U+0080 to U+009F, which some terminals heed), for a terminal: '?' in their
// place.
std::string printable(std::string_view text);
// The same for text of several lines: line breaks and tabs stay, other controls go.
std::string without_controls(std::string_view text);

enum class Color : std::uint8_t { green, yellow, red, dim };

// `text` in `color` where the console shows colours, else unchanged.
std::string colored(const Console& console, Color color, std::string_view text);

}  // namespace lmsb::cli
