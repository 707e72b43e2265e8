#include "model/store.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/digest.h"
#include "base/ids.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "fetch/download.h"
#include "model/demonstration.h"
#include "model/unfinished.h"
#include "os/files.h"
#include "os/small_file.h"

namespace lmsb::model {
namespace {

namespace fs = std::filesystem;

// No model's name begins with a dot.
constexpr const char* kStagingPrefix = "/.pull-";
constexpr const char* kDemonstrationDirectory = "/.demonstration";

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

Status copy_from(int source, const std::string& what, int target) {
  struct stat info {};
  if (::fstat(source, &info) < 0) return Error::from_errno(errno, "read " + what);
  if (!S_ISREG(info.st_mode))
    return Error(ErrorCode::invalid_argument, what + " is no regular file").with_slug("not_a_model");
  off_t at = 0;  // not the descriptor's own place, which others may share
  while (at < info.st_size) {
    const auto part = static_cast<std::size_t>(info.st_size - at);
    ssize_t n = ::copy_file_range(source, &at, target, nullptr, part, 0);  // shares blocks where it can
    if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP)) n = ::sendfile(target, source, &at, part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Error::from_errno(n < 0 ? errno : EIO, "copy " + what);
  }
  return {};
}

Status copy_path(const std::string& path, int target) {
  const UniqueFd source(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (source) return copy_from(source.get(), path, target);
  auto error = Error::from_errno(errno, "open " + path);
  if (error.sys_errno() != EACCES) return error;
  return std::move(error).with_hint(
      "the daemon runs without privilege: make the file readable for others, or pull it with lm-sandbox on this "
      "machine");
}

Status write_demonstration(int target) {
  if (os::write_all(target, demonstration_file())) return {};
  return Error::from_errno(errno, "write the demonstration model");
}

bool holds_demonstration(const std::string& path) {
  const auto there = os::read_whole_file(path, Bytes(demonstration_file().size()));
  return there.ok() && *there == demonstration_file();
}

Error no_model(const std::string& name) {
  return Error(ErrorCode::not_found, "no model " + lmsb::quoted(name))
      .with_slug("model_not_found")
      .with_hint("lm-sandbox model ls shows what there is");
}

// A directory becomes `target`, in one step also when there is one already: that is removed then.
Status put_in_place(const std::string& path, const std::string& target) {
  constexpr unsigned kExchange = RENAME_EXCHANGE;
  std::error_code ignored;
  if (::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, target.c_str(), kExchange) == 0) {
    fs::remove_all(path, ignored);  // the older one
    return {};
  }
  if (errno != ENOENT) fs::remove_all(target, ignored);  // the file system cannot do it in one step
  if (::rename(path.c_str(), target.c_str()) < 0) return Error::from_errno(errno, "move the model to " + target);
  return {};
}

// A directory that is gone again unless it was kept. Locked while it is in use, so that sweep() knows.
class Staging {
 public:
  static Result<Staging> make(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) < 0) return Error::from_errno(errno, "make " + path);
    Staging staging(path);
    staging.lock_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!staging.lock_ || ::flock(staging.lock_.get(), LOCK_EX | LOCK_NB) < 0)
      return Error::from_errno(errno, "lock " + path);
    return staging;
  }
  ~Staging() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  Staging(Staging&& other) noexcept : path_(std::exchange(other.path_, "")), lock_(std::move(other.lock_)) {}
  Staging& operator=(Staging&&) = delete;

  std::string file() const { return path_ + "/model.gguf"; }
  Status move_to(const std::string& target) {
    LMSB_CHECK(put_in_place(path_, target));
    path_.clear();
    return {};
  }

 private:
  explicit Staging(std::string path) : path_(std::move(path)) {}
  std::string path_;
  UniqueFd lock_;
};

// Of what somebody may still go on with.
bool is_old(const fs::path& path) {
  struct stat info {};
  constexpr time_t kWeek = 7 * 86400;
  return ::stat((path / "model.gguf").c_str(), &info) < 0 || info.st_mtime + kWeek < ::time(nullptr);
}

bool is_abandoned(const fs::path& path) {
  const std::string name = path.filename();
  if (!("/" + name).starts_with(kStagingPrefix) && !(Unfinished::is_one(name) && is_old(path))) return false;
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return directory && ::flock(directory.get(), LOCK_EX | LOCK_NB) == 0;
}

bool is_whole(const RemoteFile& file, const Unfinished& unfinished) {
  struct stat info {};
  return !file.sha256.empty() && file.size > 0 && ::fstat(unfinished.file(), &info) == 0 &&
         static_cast<std::uint64_t>(info.st_size) == file.size;
}

Status check_name(const std::string& name) {
  if (is_model_name(name)) return {};
  return Error(ErrorCode::invalid_argument,
               "model name " + lmsb::quoted(name) + " must match [A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
      .with_slug("invalid_name");
}

// All of a file, or another beginning of it.
Status bring(const RemoteFile& file, const fetch::DownloadLimits& limits, const Unfinished& unfinished,
             const PullProgress& progress) {
  fetch::Wanted wanted;
  wanted.url = file.url;
  wanted.bearer = file.token.reveal();
  wanted.tag = unfinished.tag();
  wanted.is_checked = !file.sha256.empty();
  if (is_whole(file, unfinished)) return {};
  fetch::Received received;
  const auto tell = [&](std::uint64_t done, std::uint64_t whole) {
    return progress({PullState::Step::bringing, done, whole > 0 ? whole : file.size, file.sha256});
  };
  auto brought = fetch::download(wanted, unfinished.file(), limits, tell, received);
  unfinished.set_tag(received.tag);
  if (!brought.ok() && brought.error().sys_errno() == ENOSPC)
    return std::move(brought).error().with_slug("model_no_room");
  LMSB_CHECK(std::move(brought));
  if (::fsync(unfinished.file()) < 0) return Error::from_errno(errno, "write " + unfinished.path());
  return {};
}

// That what has come is what was said. Reads all of it.
Status check(const RemoteFile& file, const Unfinished& unfinished, const PullProgress& progress) {
  if (file.sha256.empty()) return {};
  Sha256Sum sum;
  std::string part(1U << 20U, '\0');
  PullState state{PullState::Step::checking, 0, file.size, file.sha256};
  for (;;) {
    const ssize_t n = ::pread(unfinished.file(), part.data(), part.size(), static_cast<off_t>(state.done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read " + unfinished.path());
    if (n == 0) break;
    sum.add(std::string_view(part).substr(0, static_cast<std::size_t>(n)));
    state.done += static_cast<std::uint64_t>(n);
    if (!progress(state)) return Error(ErrorCode::cancelled, "pull " + file.name).with_cause("cancelled");
  }
  if (to_hex(sum.finish()) == file.sha256) return {};
  return Error(ErrorCode::unavailable,
               "what came for " + lmsb::quoted(file.name) + " is not what was said: its digest is another")
      .with_slug("wrong_digest")
      .with_hint("pull it again; something between may have changed it");
}

void sync_directory(const std::string& path) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) (void)::fsync(directory.get());  // the model is there; a power cut may only lose it again
}

}  // namespace

std::string name_from_source(const std::string& source) {
  const bool is_url = source.starts_with("http://") || source.starts_with("https://");
  std::string name = source.substr(0, is_url ? source.find_first_of("?#") : std::string::npos);
  name = name.substr(name.find_last_of('/') + 1);
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !is_name_character(c); }, '-');
  return name.substr(0, 128);
}

bool is_model_name(const std::string& text) {
  return !text.empty() && text.size() <= 128 && text[0] != '.' && text[0] != '-' && text[0] != '_' && text[0] != ':' &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_name_character(c) || c == ':'; });
}

std::vector<std::string> Store::names() const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_, error)) {
    std::string name = entry.path().filename().string();
    if (is_model_name(name) && fs::exists(entry.path() / "model.gguf", error)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<Model> Store::list() const {
  std::vector<Model> models;
  for (const std::string& name : names())
    if (auto found = find(name); found.ok()) models.push_back(*std::move(found));
  return models;
}

bool Store::has(const std::string& name) const {
  return is_model_name(name) && fs::exists(directory_ + "/" + name + "/model.gguf");
}

Result<Model> Store::find(const std::string& name) const {
  if (!has(name)) return no_model(name);
  Model model{name, directory_ + "/" + name, {}};
  LMSB_TRY(model.facts, read_gguf(model.directory + "/model.gguf"));
  return model;
}

Result<Model> Store::pull(const std::string& path, const std::string& name) const {
  return add(name, [&path](int target) { return copy_path(path, target); });
}

Result<Model> Store::pull_remote(const RemoteFile& file, const PullProgress& progress) const {
  LMSB_CHECK(check_name(file.name));
  LMSB_TRY(Unfinished unfinished, Unfinished::open(directory_, file.sha256.empty() ? file.url : file.sha256));
  LMSB_CHECK(bring(file, limits_, unfinished, progress));
  auto checked = check(file, unfinished, progress);
  auto facts = checked.ok() ? read_gguf(unfinished.path()) : Result<GgufFacts>(std::move(checked).error());
  if (!facts.ok()) {
    if (facts.error().code() != ErrorCode::cancelled) unfinished.discard();
    return std::move(facts).error();
  }
  unfinished.strip();
  const std::string target = directory_ + "/" + file.name;
  LMSB_CHECK(put_in_place(unfinished.directory(), target));
  sync_directory(target);
  sync_directory(directory_);
  return Model{file.name, target, *std::move(facts)};
}

Result<Model> Store::pull_open(int file, const std::string& source, const std::string& name) const {
  return add(name, [file, &source](int target) { return copy_from(file, source, target); });
}

Result<Model> Store::add(const std::string& name, const std::function<Status(int)>& write) const {
  LMSB_CHECK(check_name(name));
  const std::string target = directory_ + "/" + name;
  LMSB_TRY(const GgufFacts facts, put(target, write));
  return Model{name, target, facts};
}

// Makes the directory `target`, in the place of an older one, with a model in it.
Result<GgufFacts> Store::put(const std::string& target, const std::function<Status(int)>& write) const {
  LMSB_TRY(Staging staging, Staging::make(directory_ + kStagingPrefix + create_prefixed_id("")));
  {
    const std::string path = staging.file();
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file) return Error::from_errno(errno, "make " + path);
    LMSB_CHECK(write(file.get()));
    if (::fsync(file.get()) < 0) return Error::from_errno(errno, "write " + path);
  }
  LMSB_TRY(const GgufFacts facts, read_gguf(staging.file()));
  LMSB_CHECK(staging.move_to(target));
  sync_directory(target);
  sync_directory(directory_);
  return facts;
}

Result<Model> Store::demonstration() const {
  Model model{std::string(kDemonstrationName), directory_ + kDemonstrationDirectory, {}, true};
  const std::string file = model.directory + "/model.gguf";
  if (!holds_demonstration(file)) {
    LMSB_TRY(model.facts, put(model.directory, write_demonstration));
  } else {
    LMSB_TRY(model.facts, read_gguf(file));
  }
  return model;
}

Status Store::remove(const std::string& name) const {
  if (!has(name)) return no_model(name);
  const std::string going = directory_ + kStagingPrefix + create_prefixed_id("");  // gone by its name in one step
  if (::rename((directory_ + "/" + name).c_str(), going.c_str()) < 0)
    return errno == ENOENT ? no_model(name) : Error::from_errno(errno, "remove model " + lmsb::quoted(name));
  sync_directory(directory_);
  std::error_code stays;  // sweep() removes at the next start what cannot be removed now: nobody finds it any more
  fs::remove_all(going, stays);
  return {};
}

std::size_t Store::sweep() const {
  std::vector<fs::path> abandoned;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_, error))
    if (is_abandoned(entry.path())) abandoned.push_back(entry.path());
  for (const fs::path& path : abandoned) fs::remove_all(path, error);
  return abandoned.size();
}

}  // namespace lmsb::model
