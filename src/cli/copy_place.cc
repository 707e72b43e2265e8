#include "cli/copy_place.h"

#include "base/text.h"
#include "cli/values.h"

namespace lmsb::cli {
namespace {

// The last component; "" of "/", "." and "..", which name no file.
std::string last_name(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::string name = path.substr(path.rfind('/') + 1);
  return name == "." || name == ".." ? "" : name;
}

}  // namespace

bool CopyPlace::names_directory() const { return path.ends_with('/') || names_content(); }
bool CopyPlace::names_content() const { return path == "." || path.ends_with("/."); }

Result<CopyPlace> parse_copy_place(const std::string& text) {
  CopyPlace place;
  const std::size_t colon = text.find(':');
  const bool is_local = colon == std::string::npos || colon == 0 || text.front() == '.' || text.find('/') < colon;
  place.path = is_local ? text : text.substr(colon + 1);
  if (!is_local) place.sandbox = text.substr(0, colon);
  if (place.path.empty())
    return Error(ErrorCode::invalid_argument, quoted(text) + " names no path").with_hint("write SANDBOX:PATH");
  return place;
}

std::string kept_name(const CopyPlace& from) {
  return from.is_stream() || from.names_content() ? "" : last_name(from.path);
}

std::string copied_path(const CopyPlace& from, const CopyPlace& to, bool to_is_directory) {
  const std::string name = to_is_directory || to.names_directory() ? kept_name(from) : "";
  if (name.empty()) return to.path;
  return to.path.ends_with('/') ? to.path + name : to.path + "/" + name;
}

std::string path_query(const std::string& path) {
  return is_utf8(path) ? "path=" + url_segment(path) : "path_base64=" + url_segment(base64_encode(path));
}

}  // namespace lmsb::cli
