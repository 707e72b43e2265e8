#pragma once
// AptSources: where this machine gets Debian packages from, read out of its own apt configuration, so that images are
// made from the mirror that its owner chose. The parsers are pure.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lmsb::image {

// Debian stable, when the machine is not Debian itself.
constexpr std::string_view kStableSuite = "bookworm";

struct AptSource {
  std::string uri;
  std::string suite;
  bool operator==(const AptSource&) const = default;
};

struct AptSources {
  std::string suite;               // the release to make
  std::vector<AptSource> sources;  // its own first, then updates and security where they are known
};

// The binary packages' sources of a deb822 file (debian.sources) that are enabled and have the component main.
std::vector<AptSource> parse_deb822(std::string_view text);
// The same of a one-line file (sources.list).
std::vector<AptSource> parse_one_line(std::string_view text);
// The codename of /etc/os-release when that describes Debian; else empty.
std::string debian_codename(std::string_view os_release);

// Whether `text` can be a mirror: http, https or file, and no character that apt or a shell reads as more than a URL.
bool is_mirror_url(std::string_view text);

// Chooses from what the machine uses: `suite` with its -updates and -security. A release that the machine does not
// use itself (sid) comes from the mirror of the one that it does. Empty when none is a Debian mirror.
std::vector<AptSource> choose_sources(const std::vector<AptSource>& machine, std::string_view suite);

// Reads /etc/apt and /etc/os-release. `suite` empty: the machine's own release, else kStableSuite. A `mirror` that
// is not empty replaces the configuration. Fails with a hint when there is no Debian mirror.
Result<AptSources> find_sources(std::string_view suite, const std::string& mirror);

}  // namespace lmsb::image
