#pragma once
// Definition: how a built-in image is made, and the mmdebstrap command line that makes it. Pure.
#include <string>
#include <string_view>
#include <vector>

#include "image/apt_sources.h"
#include "image/store.h"

namespace lmsb::image {

inline constexpr const char* kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct Definition {
  std::string_view name;
  std::string_view suite;     // empty: the machine's own Debian release, else kStableSuite
  std::string_view packages;  // comma-separated
  std::string_view hook;      // a shell line run with $1 = the file system, after the packages; may be empty
  std::string_view description;
  Bytes room;  // free space that a build takes at its widest, with a margin
};

// nullptr when we have no definition of that name.
const Definition* find_definition(std::string_view name);
// The names, for messages: "base, llama".
std::string definition_names();

// What runs: mmdebstrap writing a tar stream to its standard output. `keyring` (a path that exists in the image, too)
// may be empty: then apt's trusted keys decide.
std::vector<std::string> mmdebstrap_command(const Definition& definition, const AptSources& sources,
                                            std::string_view keyring);

// The defaults of the image: everything but digest, size and time.
Image image_of(const Definition& definition);

}  // namespace lmsb::image
