#include "serve/default_image.h"

#include <cerrno>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "image/store.h"
#include "os/small_file.h"

namespace lmsb::serve {
namespace {

constexpr const char* kBase = "base";

std::string path_of(const std::string& data_dir) { return data_dir + "/default-image"; }

// The name that an earlier start wrote down; "" = there was none.
Result<std::string> read_choice(const std::string& data_dir) {
  const std::string path = path_of(data_dir);
  auto text = os::read_whole_file(path, Bytes::KiB(1));
  if (!text.ok() && text.error().code() == ErrorCode::not_found) return std::string();
  if (!text.ok()) return std::move(text).error().with_context("read the default image");
  std::string name = *std::move(text);
  if (name.ends_with('\n')) name.pop_back();
  if (image::is_image_name(name)) return name;
  return Error(ErrorCode::failed_precondition, path + " holds no name of an image")
      .with_hint("write base or host into it");
}

// Whole on the disk before it has its name.
Status write_file(int fd, const std::string& path, const std::string& text) {
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fchmod(fd, 0644) < 0 ||
      ::fsync(fd) < 0)
    return Error::from_errno(errno, "write " + path);
  return {};
}

}  // namespace

StoredImages try_stored_images() {
  if (::geteuid() == 0) return StoredImages::possible;
  const UniqueFd file(::memfd_create("lm-sandbox-trial", MFD_CLOEXEC));
  const bool keeps_marks = file && ::fsetxattr(file.get(), "user.overlay.lmsb", "y", 1, 0) == 0;
  return keeps_marks ? StoredImages::possible : StoredImages::impossible;
}

Result<DefaultImage> find_default_image(const config::Config& config, StoredImages stored) {
  if (!config.default_image.empty()) return DefaultImage{config.default_image, false};
  const image::Store store(config.data_dir);
  LMSB_TRY(const std::string chosen, read_choice(config.data_dir));
  const bool is_base = stored == StoredImages::possible && store.find(kBase).ok();
  if (chosen.empty()) return DefaultImage{is_base ? kBase : std::string(image::kHostImage), true};
  auto found = store.find(chosen);
  if (found.ok()) return DefaultImage{chosen, false};
  return std::move(found)
      .error()
      .with_context("the default image since the first start (" + path_of(config.data_dir) + ")")
      .with_hint("make it again: sudo lm-sandbox image build " + chosen + ", or choose another: --default-image host");
}

Result<std::string> fix_default_image(const std::string& data_dir, const std::string& name) {
  const std::string path = path_of(data_dir);
  std::string draft = path + ".XXXXXX";
  const UniqueFd file(::mkostemp(draft.data(), O_CLOEXEC));
  if (!file) return Error::from_errno(errno, "make " + draft);
  const Status written = write_file(file.get(), draft, name + "\n");
  const int failed = written.ok() && ::link(draft.c_str(), path.c_str()) < 0 ? errno : 0;
  (void)::unlink(draft.c_str());
  LMSB_CHECK(written);
  if (failed == EEXIST) return read_choice(data_dir);
  if (failed != 0) return Error::from_errno(failed, "make " + path);
  return name;
}

}  // namespace lmsb::serve
