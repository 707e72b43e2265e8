#pragma once
// man_page: the manual pages of the program, of each command, and of the settings, made of what the program knows about
// itself: the commands' manuals and the table of settings. Pure.
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lmsb::cli {

struct Page {
  std::string name;     // "lm-sandbox-image-build"
  int section = 1;      // 5 of files
  std::string topic;    // how `lm-sandbox man` calls it: "image-build"
  std::string summary;  // some words
};

// The program's own is the first.
std::vector<Page> all_pages();

// `page` is one of them. In the language of man(7).
std::string page_text(const Page& page);

// What is shown of commands at work. `line` is all that is typed.
struct Example {
  std::string_view what;
  std::string_view line;
};
std::span<const Example> examples();

}  // namespace lmsb::cli
