#include "model/unfinished.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "os/files.h"
#include "os/small_file.h"

namespace lmsb::model {
namespace {

// No model's name begins with a dot.
constexpr const char* kPrefix = ".part-";
constexpr std::size_t kDigits = 32;  // of the digest: names of others' choice stay apart

}  // namespace

Result<Unfinished> Unfinished::open(const std::string& store, const std::string& of) {
  const std::string directory = store + "/" + kPrefix + to_hex(sha256(of)).substr(0, kDigits);
  if (::mkdir(directory.c_str(), 0755) < 0 && errno != EEXIST) return Error::from_errno(errno, "make " + directory);
  UniqueFd lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!lock) return Error::from_errno(errno, "open " + directory);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) < 0)
    return Error(ErrorCode::already_exists, "it is being pulled already")
        .with_slug("model_being_pulled")
        .with_hint("wait for that pull; lm-sandbox model ls shows the model when it is there");
  const std::string path = directory + "/model.gguf";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) return Error::from_errno(errno, "open " + path);
  return Unfinished(directory, std::move(lock), std::move(file));
}

std::string Unfinished::path() const { return directory_ + "/model.gguf"; }

std::string Unfinished::tag() const { return os::read_small_file(directory_ + "/tag").value_or(""); }

void Unfinished::set_tag(const std::string& tag) const {
  const std::string path = directory_ + "/tag";
  if (tag.empty())
    (void)::unlink(path.c_str());
  else if (!os::write_text(path, tag).ok())
    (void)::unlink(path.c_str());  // then it is begun anew
}

void Unfinished::discard() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Unfinished::strip() const { (void)::unlink((directory_ + "/tag").c_str()); }

bool Unfinished::is_one(const std::string& name) { return name.starts_with(kPrefix); }

}  // namespace lmsb::model
