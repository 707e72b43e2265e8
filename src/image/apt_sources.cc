#include "image/apt_sources.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "os/files.h"

namespace lmsb::image {
namespace {

constexpr std::string_view kSpace = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// Cuts the first line off `text`.
std::string_view next_line(std::string_view& text) {
  const auto end = text.find('\n');
  const auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  while (!(text = trimmed(text)).empty()) {
    const auto end = text.find_first_of(kSpace);
    found.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end);
  }
  return found;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// One stanza of deb822: lower-case field -> its words.
using Stanza = std::map<std::string, std::vector<std::string>>;

void add_stanza(Stanza& stanza, std::vector<AptSource>& sources) {
  const auto& enabled = stanza["enabled"];
  const bool off = !enabled.empty() && (lower(enabled[0]) == "no" || lower(enabled[0]) == "false" || enabled[0] == "0");
  if (!off && contains(stanza["types"], "deb") && contains(stanza["components"], "main")) {
    for (const auto& uri : stanza["uris"])
      for (const auto& suite : stanza["suites"]) sources.push_back({uri, suite});
  }
  stanza.clear();
}

// "deb [options] uri suite component..." without its options; empty when it is something else.
std::vector<std::string> one_line_words(std::string_view line) {
  line = trimmed(line.substr(0, line.find('#')));
  if (!line.starts_with("deb ") && !line.starts_with("deb\t")) return {};
  line = trimmed(line.substr(4));
  if (line.starts_with('[')) {
    const auto end = line.find(']');
    line = end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
  }
  return words(line);
}

// The release that "bookworm-updates", "bookworm-security" or "bookworm/updates" belongs to.
std::string_view release_of(std::string_view suite) { return suite.substr(0, suite.find_first_of("-/")); }

// The names that Debian's own archive has and derivatives do not.
bool is_debian_release(std::string_view suite) {
  static constexpr std::array<std::string_view, 11> kNames = {"sid",       "unstable", "testing",  "stable",
                                                              "oldstable", "bullseye", "bookworm", "trixie",
                                                              "forky",     "duke",     "rc-buggy"};
  return std::find(kNames.begin(), kNames.end(), suite) != kNames.end();
}

// "mirror+file:/etc/apt/mirrors/debian.list" is the first address in that file; others are what they are.
std::string resolved(const std::string& uri) {
  constexpr std::string_view kPrefix = "mirror+file:";
  if (!uri.starts_with(kPrefix)) return uri;
  const auto slash = uri.find_first_not_of('/', kPrefix.size());
  if (slash == std::string::npos || slash == kPrefix.size()) return uri;
  const std::string list = os::read_text(uri.substr(slash - 1));
  std::string_view rest = list;
  while (!rest.empty()) {
    const auto line = words(next_line(rest));
    if (!line.empty() && !line[0].starts_with('#')) return line[0];
  }
  return uri;
}

std::vector<AptSource> machine_sources() {
  std::vector<AptSource> sources = parse_one_line(os::read_text("/etc/apt/sources.list"));
  std::vector<std::string> paths;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator("/etc/apt/sources.list.d", failure))
    paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    std::vector<AptSource> found;
    if (path.ends_with(".sources")) found = parse_deb822(os::read_text(path));
    if (path.ends_with(".list")) found = parse_one_line(os::read_text(path));
    sources.insert(sources.end(), found.begin(), found.end());
  }
  for (auto& source : sources) source.uri = resolved(source.uri);
  return sources;
}

}  // namespace

std::vector<AptSource> parse_deb822(std::string_view text) {
  std::vector<AptSource> sources;
  Stanza stanza;
  std::string field;
  while (!text.empty()) {
    const auto line = next_line(text);
    if (trimmed(line).empty()) {
      add_stanza(stanza, sources);
    } else if (line[0] != '#') {
      const bool continued = kSpace.find(line[0]) != std::string_view::npos;
      const auto colon = continued ? std::string_view::npos : line.find(':');
      if (!continued) field = lower(trimmed(line.substr(0, colon)));
      const auto found = words(colon == std::string_view::npos ? line : line.substr(colon + 1));
      stanza[field].insert(stanza[field].end(), found.begin(), found.end());
    }
  }
  add_stanza(stanza, sources);
  return sources;
}

std::vector<AptSource> parse_one_line(std::string_view text) {
  std::vector<AptSource> sources;
  while (!text.empty()) {
    const auto line = one_line_words(next_line(text));
    if (line.size() >= 3 && std::find(line.begin() + 2, line.end(), "main") != line.end())
      sources.push_back({line[0], line[1]});
  }
  return sources;
}

std::string debian_codename(std::string_view os_release) {
  bool is_debian = false;
  std::string codename;
  while (!os_release.empty()) {
    auto line = trimmed(next_line(os_release));
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const auto key = line.substr(0, equals);
    auto value = line.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
    if (key == "ID") is_debian = value == "debian";
    if (key == "VERSION_CODENAME") codename = value;
  }
  return is_debian ? codename : "";
}

bool is_mirror_url(std::string_view text) {
  const bool known = text.starts_with("http://") || text.starts_with("https://") || text.starts_with("file:///");
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/@%+=,&?";
  return known && text.size() <= 1024 && text.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::vector<AptSource> choose_sources(const std::vector<AptSource>& machine, std::string_view suite) {
  std::vector<AptSource> own;
  std::string any;
  for (const auto& source : machine) {
    if (!is_mirror_url(source.uri)) continue;
    if (release_of(source.suite) == suite) own.push_back(source);
    if (any.empty() && is_debian_release(source.suite)) any = source.uri;
  }
  std::stable_partition(own.begin(), own.end(), [&](const AptSource& source) { return source.suite == suite; });
  if (!own.empty() && own[0].suite == suite) return own;
  if (any.empty()) return {};
  return {{any, std::string(suite)}};
}

Result<AptSources> find_sources(std::string_view suite, const std::string& mirror) {
  AptSources result;
  result.suite = suite;
  if (suite.empty()) result.suite = debian_codename(os::read_text("/etc/os-release"));
  if (result.suite.empty()) result.suite = kStableSuite;
  if (!mirror.empty() && !is_mirror_url(mirror))
    return Error(ErrorCode::invalid_argument, "mirror " + lmsb::quoted(mirror) + " is not an http, https or file URL");
  if (!mirror.empty())
    result.sources = {{mirror, result.suite}};
  else
    result.sources = choose_sources(machine_sources(), result.suite);
  if (!result.sources.empty()) return result;
  return Error(ErrorCode::failed_precondition, "this machine's apt configuration names no Debian mirror")
      .with_hint("name one: --mirror URL, or MIRROR=URL in the environment");
}

}  // namespace lmsb::image
