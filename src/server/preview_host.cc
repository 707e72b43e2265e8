#include "server/preview_host.h"

#include <algorithm>
#include <charconv>

#include "server/authority.h"

namespace lmsb::server {
namespace {

constexpr std::string_view kDomain = ".localhost";
constexpr std::size_t kIdSize = 20;

bool is_id(std::string_view text) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return text.size() == kIdSize && is_letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

std::optional<PreviewHost> PreviewHost::parse(std::string_view host) {
  if (host.empty() || host.front() < '0' || host.front() > '9' || host.find('-') == std::string_view::npos)
    return std::nullopt;  // most are none, and this is asked of every request
  const auto authority = Authority::parse(host);
  if (!authority || !authority->host.ends_with(kDomain)) return std::nullopt;
  const std::string_view label = std::string_view(authority->host).substr(0, authority->host.size() - kDomain.size());
  const std::size_t dash = std::min(label.find('-'), label.size());
  const std::string_view number = label.substr(0, dash);
  PreviewHost preview;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), preview.port);
  if (error != std::errc() || end != number.data() + number.size() || preview.port == 0 || number.front() == '0')
    return std::nullopt;
  preview.sandbox = label.substr(std::min(dash + 1, label.size()));
  if (!is_id(preview.sandbox)) return std::nullopt;
  return preview;
}

std::optional<PreviewHost> PreviewHost::of_origin(std::string_view origin) {
  const std::size_t slashes = origin.find("://");
  return slashes == std::string_view::npos ? std::nullopt : parse(origin.substr(slashes + 3));
}

std::string PreviewHost::name() const { return std::to_string(port) + "-" + sandbox + std::string(kDomain); }

}  // namespace lmsb::server
