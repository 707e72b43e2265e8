#pragma once
// default_image: the image of who names none. What the settings say; else what the first start of this data directory
// chose and wrote down there, so that the same request means the same for ever: `base` if it was made by then, else
// `host`. Blocking, small.
#include <string>

#include "base/result.h"
#include "config/config.h"

namespace lmsb::serve {

struct DefaultImage {
  std::string name;
  bool is_chosen_now = false;  // nobody has chosen before: fix_default_image() makes it last
};

// Errors: the file is damaged, or the image that was chosen is no longer there.
Result<DefaultImage> find_default_image(const config::Config& config);

// Writes the choice to <data-dir>/default-image. When another start did meanwhile, its choice counts: returns the name
// in force. Needs a data directory that is there.
Result<std::string> fix_default_image(const std::string& data_dir, const std::string& name);

}  // namespace lmsb::serve
