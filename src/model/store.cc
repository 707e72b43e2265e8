#include "model/store.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "fetch/download.h"

namespace lmsb::model {
namespace {

namespace fs = std::filesystem;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool is_url(const std::string& source) { return source.starts_with("http://") || source.starts_with("https://"); }

Status copy_file(const std::string& path, int target) {
  const UniqueFd source(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!source || ::fstat(source.get(), &info) < 0) {
    auto error = Error::from_errno(errno, "open " + path);
    if (errno == EACCES)
      return std::move(error).with_hint(
          "the daemon runs without privilege: make the file readable for others, or serve it by http");
    return error;
  }
  if (!S_ISREG(info.st_mode))
    return Error(ErrorCode::invalid_argument, path + " is no regular file").with_slug("not_a_model");
  for (off_t left = info.st_size; left > 0;) {
    const auto part = static_cast<std::size_t>(left);
    ssize_t n = ::copy_file_range(source.get(), nullptr, target, nullptr, part, 0);  // shares blocks where it can
    if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP))
      n = ::sendfile(target, source.get(), nullptr, part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Error::from_errno(n < 0 ? errno : EIO, "copy " + path);
    left -= n;
  }
  return {};
}

// A directory that is gone again unless it was kept.
class Staging {
 public:
  explicit Staging(std::string path) : path_(std::move(path)) {}
  ~Staging() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  const std::string& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

}  // namespace

std::string name_from_source(const std::string& source) {
  std::string name = source.substr(0, is_url(source) ? source.find_first_of("?#") : std::string::npos);
  name = name.substr(name.find_last_of('/') + 1);
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !is_name_character(c); }, '-');
  return name.substr(0, 128);
}

bool is_model_name(const std::string& text) {
  return !text.empty() && text.size() <= 128 && text[0] != '.' && text[0] != '-' && text[0] != '_' &&
         std::all_of(text.begin(), text.end(), is_name_character);
}

std::vector<Model> Store::list() const {
  std::vector<Model> models;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_, error))
    if (auto found = find(entry.path().filename().string()); found.ok()) models.push_back(*std::move(found));
  std::sort(models.begin(), models.end(), [](const Model& a, const Model& b) { return a.name < b.name; });
  return models;
}

Result<Model> Store::find(const std::string& name) const {
  if (!is_model_name(name) || !fs::exists(directory_ + "/" + name + "/model.gguf"))
    return Error(ErrorCode::not_found, "no model " + lmsb::quoted(name))
        .with_slug("model_not_found")
        .with_hint("lm-sandbox model ls shows what there is");
  Model model{name, directory_ + "/" + name, {}};
  LMSB_TRY(model.facts, read_gguf(model.directory + "/model.gguf"));
  return model;
}

Result<Model> Store::pull(const std::string& source, const std::string& name) const {
  if (!is_model_name(name))
    return Error(ErrorCode::invalid_argument,
                 "model name " + lmsb::quoted(name) + " must match [A-Za-z0-9][A-Za-z0-9._-]{0,127}")
        .with_slug("invalid_name");
  Staging staging(directory_ + "/.pull-" + create_prefixed_id(""));
  if (::mkdir(staging.path().c_str(), 0755) < 0) return Error::from_errno(errno, "make " + staging.path());
  const std::string path = staging.path() + "/model.gguf";
  {
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file) return Error::from_errno(errno, "make " + path);
    const auto go_on = [](std::uint64_t, std::uint64_t) { return true; };
    LMSB_CHECK(is_url(source) ? fetch::download(source, file.get(), {}, go_on) : copy_file(source, file.get()));
    if (::fsync(file.get()) < 0) return Error::from_errno(errno, "write " + path);
  }
  LMSB_TRY(const GgufFacts facts, read_gguf(path));
  const std::string target = directory_ + "/" + name;
  Staging old(staging.path() + "-old");
  std::error_code error;
  fs::rename(target, old.path(), error);  // an older one of the name, if there is one
  fs::rename(staging.path(), target, error);
  if (error) return Error(ErrorCode::internal, "move the model to " + target + ": " + error.message());
  staging.keep();
  return Model{name, target, facts};
}

}  // namespace lmsb::model
