#include "cli/console.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "os/files.h"

namespace lmsb::cli {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Whether U+0080 to U+009F stands there.
bool is_c1(std::string_view text, std::size_t at) {
  if (text[at] != '\xc2' || at + 1 == text.size()) return false;
  const auto next = static_cast<unsigned char>(text[at + 1]);
  return next >= 0x80 && next < 0xa0;
}

// `replacement` gives what stands for a control character, known by its last octet.
template <class Replacement>
std::string with_controls_as(std::string_view text, Replacement replacement) {
  std::string shown;
  shown.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_c1(text, i)) {
      shown += replacement(text[++i]);
    } else if (is_control(text[i])) {
      shown += replacement(text[i]);
    } else {
      shown += text[i];
    }
  }
  return shown;
}

std::string_view as_blank(char) { return " "; }
std::string_view as_mark(char) { return "?"; }
std::string_view as_layout(char c) { return c == '\n' ? "\n" : c == '\t' ? "\t" : ""; }

// Code points, which is the width on a terminal for all that we print ourselves.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::vector<std::size_t> column_widths(const Row& header, const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& cell : header) widths.push_back(width(cell));
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  return widths;
}

void append_row(std::string& text, const Row& row, const std::vector<std::size_t>& widths) {
  for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
    const std::string cell = printable(row[i]);
    text += cell;
    if (i + 1 < row.size()) text.append(widths[i] - width(cell) + 2, ' ');
  }
  text.erase(text.find_last_not_of(' ') + 1);
  text += '\n';
}

}  // namespace

StandardConsole::StandardConsole() {
  const char* no_color = std::getenv("NO_COLOR");
  color_ = ::isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
}

void StandardConsole::out(std::string_view octets) {
  if (!complete_) return;
  complete_ = os::write_all(STDOUT_FILENO, octets);
  has_reader_ = complete_ || errno != EPIPE;
  // Who reads a pipe may stop when he has enough.
  if (!complete_ && has_reader_) note(*this, std::string("standard output cannot be written: ") + std::strerror(errno));
}

void StandardConsole::err(std::string_view octets) {
  (void)os::write_all(STDERR_FILENO, octets);  // there is nowhere left to complain
}

void note(Console& console, std::string_view text) {
  console.err("lm-sandbox: " + with_controls_as(text, as_blank) + "\n");
}

void report(Console& console, const Error& error) {
  note(console, error.hint().empty() ? error.message() : error.message() + "; " + error.hint());
}

std::string format_table(const Row& header, const std::vector<Row>& rows) {
  const std::vector<std::size_t> widths = column_widths(header, rows);
  std::string text;
  append_row(text, header, widths);
  for (const Row& row : rows) append_row(text, row, widths);
  return text;
}

std::string printable(std::string_view text) { return with_controls_as(text, as_mark); }

std::string without_controls(std::string_view text) { return with_controls_as(text, as_layout); }

std::string colored(const Console& console, Color color, std::string_view text) {
  if (!console.color()) return std::string(text);
  static constexpr const char* kCodes[] = {"\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m"};
  return kCodes[static_cast<std::size_t>(color)] + std::string(text) + "\x1b[0m";
}

}  // namespace lmsb::cli
