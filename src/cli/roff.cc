#include "cli/roff.h"

#include <algorithm>
#include <cctype>

namespace lmsb::cli {
namespace {

// One line of text as roff: no character of it commands anything, and '-' can be copied as it is.
std::string escaped(std::string_view line) {
  std::string out;
  if (line.starts_with('.') || line.starts_with('\'') || line.starts_with(' ')) out = "\\&";
  for (const char c : line) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

// An argument of a request.
std::string argument(std::string_view text) {
  std::string out = escaped(text);
  for (std::size_t at = 0; (at = out.find('"', at)) != std::string::npos; at += 4) out.replace(at, 1, "\\(dq");
  return '"' + out + '"';
}

bool is_placeholder(std::string_view word) {
  return std::any_of(word.begin(), word.end(), [](unsigned char c) { return std::isupper(c) != 0; });
}

// "-e, --env KEY=VALUE": flags bold, what is to be replaced underlined.
std::string styled(std::string_view tag) {
  std::string out;
  for (std::size_t begin = 0; begin < tag.size();) {
    const std::size_t end = std::min(tag.find(' ', begin), tag.size());
    const std::string_view word = tag.substr(begin, end - begin);
    out += (out.empty() ? "" : " ") + std::string(is_placeholder(word) ? "\\fI" : "\\fB") + escaped(word) + "\\fR";
    begin = end + 1;
  }
  return out;
}

}  // namespace

Roff::Roff(std::string_view name, int section) : text_(".TH ") {
  for (const unsigned char c : name) text_ += static_cast<char>(std::toupper(c));
  text_ += " " + std::to_string(section) + " \"\" \"lm\\-sandbox " LMSB_VERSION "\" \"lm\\-sandbox manual\"\n";
}

// What stands first in its section needs no break.
void Roff::break_before(std::string_view request) {
  if (!is_section_new_) text_ += request;
  is_section_new_ = false;
}

Roff& Roff::section(std::string_view title) {
  text_ += ".SH " + argument(title) + "\n";
  is_section_new_ = true;
  return *this;
}

Roff& Roff::subsection(std::string_view title) {
  text_ += ".SS " + argument(title) + "\n";
  is_section_new_ = true;
  return *this;
}

Roff& Roff::paragraph(std::string_view text) {
  break_before(".PP\n");
  for (bool is_first = true; !text.empty(); is_first = false) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    text_ += (is_first ? "" : ".br\n") + escaped(text.substr(0, end)) + "\n";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return *this;
}

Roff& Roff::term(std::string_view tag, std::string_view text) {
  text_ += ".TP\n" + styled(tag) + "\n" + escaped(text) + "\n";
  return *this;
}

Roff& Roff::paragraph_in(std::string_view text) {
  text_ += ".br\n" + escaped(text) + "\n";
  return *this;
}

Roff& Roff::example(std::string_view what, std::string_view line) {
  text_ += ".TP\n" + escaped(what) + "\n\\fB" + escaped(line) + "\\fR\n";
  return *this;
}

Roff& Roff::literally(std::string_view text) {
  break_before(".br\n");
  text_ += "\\fB" + escaped(text) + "\\fR\n";
  return *this;
}

}  // namespace lmsb::cli
