#include "image/store.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/text.h"
#include "image/definition.h"
#include "image/image_json.h"
#include "image/store_dir.h"
#include "os/directory_stream.h"

namespace lmsb::image {
namespace {

Error no_such_image(std::string_view name) {
  const bool known = find_definition(name) != nullptr;
  return Error(ErrorCode::not_found, "image " + quoted(name) + " does not exist")
      .with_hint(known ? "make it: lm-sandbox-tool image build " + std::string(name) + " (as root)"
                       : "lm-sandbox image ls shows those that do")
      .with_slug("image_not_found");
}

// The file's text, at most kImageJsonMax + 1 bytes.
Result<std::string> read_json(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return Error::from_errno(errno, "open");
  std::string text(kImageJsonMax + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0) return Error::from_errno(errno, "read");
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

Result<Image> read_image(const std::string& directory, std::string_view name) {
  const std::string path = directory + "/" + std::string(name);
  LMSB_TRY(const auto text, read_json(path + "/image.json"));
  LMSB_TRY(auto image, parse_image(text));
  if (image.name != name) return Error(ErrorCode::internal, "\"name\": is not the directory's name");
  image.rootfs = path + "/rootfs";
  struct stat info {};
  if (::stat(image.rootfs.c_str(), &info) < 0) return Error::from_errno(errno, "rootfs");
  if (!S_ISDIR(info.st_mode)) return Error(ErrorCode::internal, "rootfs is not a directory");
  return image;
}

Error broken_image(const std::string& directory, std::string_view name, Error cause) {
  return std::move(cause)
      .with_context("image.json of " + directory + "/" + std::string(name))
      .with_hint("build the image again, or remove it: lm-sandbox-tool image rm " + std::string(name));
}

}  // namespace

bool is_image_name(std::string_view text) {
  constexpr std::string_view kFirst = "abcdefghijklmnopqrstuvwxyz0123456789";
  constexpr std::string_view kRest = "abcdefghijklmnopqrstuvwxyz0123456789._-";
  return !text.empty() && text.size() <= 63 && kFirst.find(text[0]) != std::string_view::npos &&
         text.find_first_not_of(kRest) == std::string_view::npos;
}

Image host_image() {
  Image image;
  image.name = kHostImage;
  image.digest = kHostImage;
  image.user = "user";
  image.env = {kDefaultPath, "LANG=C.UTF-8"};
  image.workdir = "/workspace";
  image.description = "this machine's own programs, read-only";
  return image;
}

Store::Store(std::string data_dir) : directory_(std::move(data_dir) + "/images") {}

Result<Store::Listing> Store::list() const {
  Listing listing;
  listing.images.push_back(host_image());
  const auto entries = os::stream_of(UniqueFd(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!entries && errno == ENOENT) return listing;
  if (!entries) return Error::from_errno(errno, "list images in " + directory_);
  const dirent* entry = nullptr;
  while (errno = 0, (entry = ::readdir(entries.get())) != nullptr) {
    const std::string name = entry->d_name;
    if (name.starts_with('.') || name == kHostImage) continue;
    auto image = read_image(directory_, name);
    if (image.ok())
      listing.images.push_back(*std::move(image));
    else
      listing.broken.push_back(broken_image(directory_, name, std::move(image).error()));
  }
  if (errno != 0) return Error::from_errno(errno, "list images in " + directory_);
  std::sort(listing.images.begin() + 1, listing.images.end(),
            [](const Image& a, const Image& b) { return a.name < b.name; });
  return listing;
}

Result<Image> Store::find(std::string_view name) const {
  if (name == kHostImage) return host_image();
  if (!is_image_name(name))
    return Error(ErrorCode::invalid_argument, "image name " + quoted(name) + " is not lower-case letters, digits, ._-");
  struct stat info {};
  if (::stat((directory_ + "/" + std::string(name)).c_str(), &info) < 0 && errno == ENOENT) return no_such_image(name);
  auto image = read_image(directory_, name);
  if (!image.ok()) return broken_image(directory_, name, std::move(image).error());
  return image;
}

Status Store::remove(std::string_view name) {
  if (name == kHostImage)
    return Error(ErrorCode::invalid_argument, "image host is the machine itself and cannot be removed");
  if (!is_image_name(name)) return no_such_image(name);
  auto directory = StoreDir::open(directory_);
  if (!directory.ok() && directory.error().sys_errno() == ENOENT) return no_such_image(name);
  if (!directory.ok()) return std::move(directory).error();
  Status hidden = directory->hide(std::string(name));
  if (!hidden.ok() && hidden.error().sys_errno() == ENOENT) return no_such_image(name);
  LMSB_CHECK(std::move(hidden));
  return directory->remove_leftovers();
}

Result<UniqueFd> Store::pin(const Image& image) {
  if (image.rootfs.empty()) return UniqueFd();
  const std::string directory = image.rootfs.substr(0, image.rootfs.rfind('/'));
  UniqueFd lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!lock) return Error::from_errno(errno, "open " + directory);
  if (::flock(lock.get(), LOCK_SH | LOCK_NB) < 0) return Error::from_errno(errno, "lock " + directory);
  return lock;
}

}  // namespace lmsb::image
