#include "model/source.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace lmsb::model {
namespace {

constexpr std::size_t kLongest = 2048;
constexpr std::size_t kLongestPart = 96;

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// One part of a name: of a repository, of a registry.
bool is_part(std::string_view text) {
  const auto fits = [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= kLongestPart && is_letter_or_digit(text[0]) &&
         std::all_of(text.begin(), text.end(), fits);
}

bool is_host(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view port = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return is_part(text.substr(0, colon)) && port.size() <= 5 && std::all_of(port.begin(), port.end(), is_digit) &&
         (text.find('.') != std::string_view::npos || colon != std::string_view::npos);
}

// A file of a repository, none of whose parts leads elsewhere.
bool is_file(std::string_view text) {
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    if (!is_part(text.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

Error no_source(const std::string& text, const char* hint) {
  return Error(ErrorCode::invalid_argument, lmsb::quoted(text) + " is no model to pull")
      .with_slug("invalid_source")
      .with_hint(hint);
}

Result<Source> parse_hugging_face(const std::string& text, const std::string& name) {
  const std::size_t colon = name.find(':');
  HuggingFaceSource source{name.substr(0, colon), colon == std::string::npos ? "" : name.substr(colon + 1)};
  const auto parts = split(source.repository);
  const bool is_repository = parts.size() == 2 && is_part(parts[0]) && is_part(parts[1]);
  const bool is_wanted = colon == std::string::npos || is_file(source.wanted);
  if (!is_repository || !is_wanted)
    return no_source(text, "hf:ORG/REPO, hf:ORG/REPO:Q4_K_M and hf:ORG/REPO:FILE.gguf are what Hugging Face has");
  return Source(std::move(source));
}

Result<Source> parse_registry(const std::string& text) {
  constexpr const char* kHint =
      "a file's absolute path, a URL, hf:ORG/REPO[:QUANTISATION], and a name of Ollama's (llama3.2:3b) can be pulled";
  auto parts = split(text);
  RegistrySource source{"", "library", "", "latest"};
  if (parts.size() > 1 && is_host(parts.front())) {
    source.host = parts.front();
    parts.erase(parts.begin());
  }
  if (parts.size() > 2) return no_source(text, kHint);
  if (parts.size() == 2) source.space = parts.front();
  const std::size_t colon = parts.back().find(':');
  source.model = parts.back().substr(0, colon);
  if (colon != std::string::npos) source.tag = parts.back().substr(colon + 1);
  if (!is_part(source.space) || !is_part(source.model) || !is_part(source.tag)) return no_source(text, kHint);
  return Source(std::move(source));
}

}  // namespace

Result<Source> parse_source(const std::string& text) {
  if (text.size() > kLongest) return no_source(text.substr(0, 64) + "...", "it is longer than 2 KiB");
  if (text.starts_with('/')) return Source(FileSource{text});
  if (text.starts_with("http://") || text.starts_with("https://")) return Source(UrlSource{text});
  constexpr std::array<std::string_view, 3> kHuggingFace = {"hf:", "hf.co/", "huggingface.co/"};
  for (const std::string_view prefix : kHuggingFace)
    if (text.starts_with(prefix)) return parse_hugging_face(text, text.substr(prefix.size()));
  return parse_registry(text);
}

std::string name_of(const RegistrySource& source) {
  const std::string name = (source.space == "library" ? "" : source.space + "-") + source.model;
  return source.tag == "latest" ? name : name + ":" + source.tag;
}

}  // namespace lmsb::model
