#include "cli/manual.h"

#include <algorithm>
#include <cctype>

namespace lmsb::cli {
namespace {

// "  -e, --env KEY=VALUE" of the left column.
std::string left_column(const FlagHelp& flag) {
  const std::string begin = flag.short_name.empty() ? "      " : "  " + flag.short_name + ", ";
  return begin + flag.long_name + (flag.value_name.empty() ? "" : " " + flag.value_name);
}

}  // namespace

std::string help_text(const Manual& manual) {
  std::string text;
  for (const std::string& line : manual.usage)
    text += (text.empty() ? "Usage:  lm-sandbox " : "        lm-sandbox ") + line + "\n";
  text += "\n" + manual.summary + "\n";
  std::size_t width = 0;
  for (const FlagHelp& flag : manual.flags) width = std::max(width, left_column(flag).size());
  text += "\nOptions:\n";
  for (const FlagHelp& flag : manual.flags) {
    const std::string left = left_column(flag);
    text += left + std::string(width - left.size() + 3, ' ') + flag.help + "\n";
  }
  return text;
}

Words choices_of(const std::string& name) {
  const auto is_upper = [](unsigned char c) { return std::isupper(c) != 0; };
  if (name.empty() || std::any_of(name.begin(), name.end(), is_upper)) return {};
  Words choices;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('|', begin), name.size());
    choices.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return choices;
}

}  // namespace lmsb::cli
