#pragma once
// ImageCatalog: what control asks of the image store on every request, without reading files each time.
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "control/command_run.h"
#include "control/control.h"
#include "image/store.h"

namespace lmsb::control {

class ImageCatalog {
 public:
  // `default_image`: "" = `base` when it is stored at this moment, else `host`; fixed from then on. `changed` is called
  // with the name of an image that was rebuilt.
  ImageCatalog(image::Store store, std::string default_image, std::function<void(const std::string&)> changed);

  struct Entry {
    std::string name;
    ImageDefaults defaults;
  };
  // The image of a request; "" = the default one. Errors: image_not_found.
  Result<Entry> find(const std::string& name);
  Result<std::vector<ImageInfo>> list() const;
  const std::string& default_image() const { return default_image_; }

 private:
  struct Cached {
    std::int64_t changed_ns = 0;  // of image.json
    Entry entry;
  };
  image::Store store_;
  std::string default_image_;
  std::function<void(const std::string&)> changed_;
  std::map<std::string, Cached> cache_;
};

}  // namespace lmsb::control
