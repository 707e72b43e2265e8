#include "control/image_catalog.h"

#include <sys/stat.h>

namespace lmsb::control {
namespace {

// When the facts of a stored image last changed; 0 for `host` and for what is not there.
std::int64_t change_time(const image::Store& store, const std::string& name) {
  struct stat info {};
  if (name == image::kHostImage || ::stat((store.directory() + "/" + name + "/image.json").c_str(), &info) < 0)
    return 0;
  return std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

ImageDefaults defaults_of(const image::Image& image) {
  ImageDefaults defaults;
  defaults.digest = image.digest;
  if (!image.workdir.empty()) defaults.workdir = image.workdir;
  for (const std::string& variable : image.env)
    if (const auto equals = variable.find('='); equals != std::string::npos)
      defaults.env[variable.substr(0, equals)] = variable.substr(equals + 1);
  return defaults;
}

}  // namespace

ImageCatalog::ImageCatalog(image::Store store, std::string default_image,
                           std::function<void(const std::string&)> changed)
    : store_(std::move(store)), default_image_(std::move(default_image)), changed_(std::move(changed)) {
  if (default_image_.empty()) default_image_ = store_.find("base").ok() ? "base" : std::string(image::kHostImage);
}

Result<ImageCatalog::Entry> ImageCatalog::find(const std::string& asked) {
  const std::string& name = asked.empty() ? default_image_ : asked;
  const std::int64_t changed = change_time(store_, name);
  if (const auto cached = cache_.find(name); cached != cache_.end() && cached->second.changed_ns == changed)
    return cached->second.entry;
  LMSB_TRY(const image::Image image, store_.find(name));
  const bool is_rebuilt = cache_.contains(name);
  Cached& entry = cache_[name];
  entry.changed_ns = changed;
  entry.entry = {name, defaults_of(image)};
  if (is_rebuilt) changed_(name);
  return entry.entry;
}

Result<std::vector<ImageInfo>> ImageCatalog::list() const {
  LMSB_TRY(const auto listing, store_.list());
  std::vector<ImageInfo> infos;
  for (const image::Image& image : listing.images)
    infos.push_back({image.name, image.digest, image.size.count(), image.created_at, image.name == default_image_});
  return infos;
}

}  // namespace lmsb::control
