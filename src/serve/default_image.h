#pragma once
// default_image: the image of who names none. What the settings say; else what the first start of this data directory
// chose and wrote down there, so that the same request means the same for ever: `base` if it was made by then, else
// `host`. Blocking, small.
#include <cstdint>
#include <string>

#include "base/result.h"
#include "config/config.h"

namespace lmsb::serve {

struct DefaultImage {
  std::string name;
  bool is_chosen_now = false;  // nobody has chosen before: fix_default_image() makes it last
};

// Whether sandboxes of stored images can be made: who is not root needs a kernel of 6.6 or newer for it, whose memory
// keeps the attributes by which an overlay hides what was removed (docs/user/rootless.md).
enum class StoredImages : std::uint8_t { possible, impossible };
StoredImages try_stored_images();  // as this user

// Nobody gets one by default that cannot be used. Errors: the file is damaged, or the image that was chosen is no
// longer there.
Result<DefaultImage> find_default_image(const config::Config& config, StoredImages stored = StoredImages::possible);

// Writes the choice to <data-dir>/default-image. When another start did meanwhile, its choice counts: returns the name
// in force. Needs a data directory that is there.
Result<std::string> fix_default_image(const std::string& data_dir, const std::string& name);

}  // namespace lmsb::serve
