#include "base/rel_path.h"

#include <algorithm>

namespace lmsb {

std::optional<RelPath> RelPath::parse(std::string_view text) {
  if (text.empty() || text.size() > 4095 || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    const std::string_view component = text.substr(begin, end - begin);
    if (component.empty() || component == "." || component == ".." || component.size() > 255) return std::nullopt;
    begin = end + 1;
  }
  return RelPath(std::string(text));
}

}  // namespace lmsb
