#pragma once
// Store: the images of one data directory, and what a sandbox needs to know of each.
//
// On disk: `<data-dir>/images/<name>/rootfs` (the root file system) and `<name>/image.json` (the facts below). Files
// in rootfs are owned by the image range: owner inside + kImageRangeBase, for user and group. Names that begin with a
// dot are builds under way and leftovers; nobody reads them. `images/` belongs to root, so that who runs the daemon
// cannot change what sandboxes start from, and is closed to users (sandbox/image_directory.h).
//
// Reading needs no privilege, but that of the files. Blocking, small. Thread-compatible.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "sandbox/id_ranges.h"

namespace lmsb::image {

// The host id that is id 0 in every stored image, and how many follow.
using sandbox::kImageRangeBase;

// The machine's own programs: always there, nothing stored.
constexpr std::string_view kHostImage = "host";

struct Image {
  std::string name;
  std::string digest;            // "sha256:" and 64 hex digits of the file system as a tar stream; "host" for `host`
  std::string rootfs;            // absolute path; empty for `host`
  std::string created_at;        // RFC 3339, UTC; empty for `host`
  Bytes size;                    // of the tar stream; 0 for `host`
  std::string user;              // who commands run as, a name inside
  std::vector<std::string> env;  // "NAME=value"
  std::string workdir;           // absolute, inside
  std::string description;       // one line for people
};

// Whether `text` may name an image: [a-z0-9][a-z0-9._-]{0,62}.
bool is_image_name(std::string_view text);

// `host`, as every store lists it.
Image host_image();

class Store {
 public:
  explicit Store(std::string data_dir);

  struct Listing {
    std::vector<Image> images;  // `host` first, then by name
    std::vector<Error> broken;  // directories that are no image, each with why
  };
  // A missing images directory is an empty store; one that cannot be read is an error.
  Result<Listing> list() const;

  // not_found with slug "image_not_found" and, for a name that we can make, the command as the hint.
  Result<Image> find(std::string_view name) const;

  // Removes it at once from view, then from the disk: see remove_leftovers() for the one exception. Needs root.
  Status remove(std::string_view name);

  // Keeps the files of `image` on the disk for as long as the descriptor (a shared lock) lives, whatever is removed
  // or rebuilt meanwhile. An empty UniqueFd for `host`.
  static Result<UniqueFd> pin(const Image& image);

  const std::string& directory() const { return directory_; }

 private:
  std::string directory_;  // <data-dir>/images
};

}  // namespace lmsb::image
