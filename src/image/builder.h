#pragma once
// build: makes a built-in image (definition.h) from Debian packages and puts it into the store.
//
// mmdebstrap runs as root in its own pid and mount namespaces; its output, a tar stream, is hashed and unpacked on the
// way by an unprivileged process that is root over the image range only. Needs root and the programs mmdebstrap and
// tar. The image appears whole or not at all; whatever fails leaves nothing behind. Takes tens of seconds, at most
// kBuildTimeout; blocks. For single-threaded programs (child.h).
#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "image/store.h"

namespace lmsb::image {

constexpr std::chrono::minutes kBuildTimeout{20};

struct BuildRequest {
  std::string name;      // of a definition
  std::string data_dir;  // absolute; made when it is missing
  std::string mirror;    // a URL; empty: the one in the machine's apt configuration
  // Who is not root of the machine, but of a user namespace that maps so many ids of images (sandbox/own_ids.h); 0:
  // root.
  std::uint32_t user_ids = 0;
  bool verbose = false;  // the tools' own words go to standard error
  std::function<void(std::string_view)> progress = [](std::string_view) {};  // one line a step, called in between
  std::function<void(Bytes)> tick = [](Bytes) {};  // some times a second meanwhile: so much has come
  const std::atomic<bool>* cancelled = nullptr;    // becomes true (from a signal handler, say): the build gives up
};

Result<Image> build(const BuildRequest& request);

}  // namespace lmsb::image
