#include "image/definition.h"

#include <algorithm>
#include <array>

namespace lmsb::image {
namespace {

constexpr std::array<Definition, 2> kDefinitions = {{
    {"base", "", "bash,coreutils,python3,git,curl,procps,ca-certificates", "",
     "Debian stable: bash, coreutils, python3, git, curl, procps", Bytes::MiB(900)},
    {"llama", "sid", "llama.cpp", "mkdir -m 755 \"$1/models\"", "llama.cpp from Debian: the runner of local models",
     Bytes::MiB(600)},
}};

// In every image: the user that commands run as, a place to work, and regular files that a sandbox's own hosts,
// hostname and resolv.conf can be bound over. mmdebstrap has copied the machine's there: not ours to give away. The
// locale that commands get stands in one archive, because every program that starts reads it: else from 12 files.
constexpr std::string_view kCommonHook =
    "chroot \"$1\" useradd --create-home --home-dir /home/user --shell /bin/bash --uid 1000 --user-group user && "
    "mkdir -m 755 \"$1/workspace\" && chown 1000:1000 \"$1/workspace\" && "
    "for f in hostname resolv.conf; do rm -f \"$1/etc/$f\"; : > \"$1/etc/$f\"; chmod 644 \"$1/etc/$f\"; done && "
    "if [ -d \"$1/usr/lib/locale/C.utf8\" ]; then chroot \"$1\" localedef --add-to-archive /usr/lib/locale/C.utf8; fi "
    "&& "
    "printf '127.0.0.1 localhost\\n::1 localhost\\n' > \"$1/etc/hosts\" && "
    "rm -rf \"$1\"/var/log/*.log \"$1\"/var/log/apt \"$1\"/var/cache/ldconfig \"$1\"/var/cache/debconf/*-old";

std::string source_line(const AptSource& source, std::string_view keyring) {
  const std::string key = keyring.empty() ? "" : "[signed-by=" + std::string(keyring) + "] ";
  return "deb " + key + source.uri + " " + source.suite + " main";
}

}  // namespace

const Definition* find_definition(std::string_view name) {
  const auto* found = std::find_if(kDefinitions.begin(), kDefinitions.end(),
                                   [&](const Definition& definition) { return definition.name == name; });
  return found == kDefinitions.end() ? nullptr : found;
}

std::string definition_names() {
  std::string names;
  for (const auto& definition : kDefinitions) names += (names.empty() ? "" : ", ") + std::string(definition.name);
  return names;
}

std::vector<std::string> mmdebstrap_command(const Definition& definition, const AptSources& sources,
                                            std::string_view keyring) {
  std::vector<std::string> command = {
      "/usr/bin/mmdebstrap",
      "--mode=root",
      "--variant=minbase",
      "--format=tar",
      "--include=" + std::string(definition.packages),
      // A mirror may be frozen, or behind; the signature still has to be right.
      "--aptopt=Acquire::Check-Valid-Until \"false\"",
      "--aptopt=Acquire::Languages \"none\"",
      "--aptopt=APT::Install-Recommends \"false\"",
      "--dpkgopt=path-exclude=/usr/share/man/*",
      "--dpkgopt=path-exclude=/usr/share/info/*",
      "--dpkgopt=path-exclude=/usr/share/locale/*",
      "--dpkgopt=path-include=/usr/share/locale/locale.alias",
      "--dpkgopt=path-exclude=/usr/share/doc/*",
      "--dpkgopt=path-include=/usr/share/doc/*/copyright",
      "--customize-hook=" + std::string(kCommonHook),
  };
  if (!definition.hook.empty()) command.push_back("--customize-hook=" + std::string(definition.hook));
  command.insert(command.end(), {sources.suite, "-"});
  for (const auto& source : sources.sources) command.push_back(source_line(source, keyring));
  return command;
}

Image image_of(const Definition& definition) {
  Image image;
  image.name = definition.name;
  image.user = "user";
  image.env = {kDefaultPath, "LANG=C.UTF-8"};
  image.workdir = "/workspace";
  image.description = definition.description;
  return image;
}

}  // namespace lmsb::image
