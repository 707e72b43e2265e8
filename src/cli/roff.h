#pragma once
// Roff: a manual page in the language of man(7), built piece by piece. What is passed in is plain text. Pure.
#include <string>
#include <string_view>

namespace lmsb::cli {

class Roff {
 public:
  Roff(std::string_view name, int section);

  Roff& section(std::string_view title);
  Roff& subsection(std::string_view title);
  Roff& paragraph(std::string_view text);  // its lines stay lines
  // `tag` with `text` indented below it. Of the tag, what is in upper case is to be replaced by whoever types.
  Roff& term(std::string_view tag, std::string_view text);
  Roff& paragraph_in(std::string_view text);  // another one below the tag
  Roff& example(std::string_view what, std::string_view line);
  Roff& literally(std::string_view text);  // a line of its own, bold

  std::string str() && { return std::move(text_); }

 private:
  void break_before(std::string_view request);

  std::string text_;
  bool is_section_new_ = false;  // nothing stands below its title
};

}  // namespace lmsb::cli
