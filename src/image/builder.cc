#include "image/builder.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/text.h"
#include "image/apt_sources.h"
#include "image/child.h"
#include "image/definition.h"
#include "image/image_json.h"
#include "image/store_dir.h"
#include "image/stream.h"
#include "os/files.h"

namespace lmsb::image {
namespace {

constexpr std::size_t kTailMax = 2000;  // bytes of the tools' words that a message carries

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

// Debian's archive keys, where this machine has them as a package.
std::string keyring() {
  const char* path = "/usr/share/keyrings/debian-archive-keyring.gpg";
  return ::access(path, R_OK) == 0 ? path : "";
}

Status require_programs() {
  if (::geteuid() != 0)
    return Error(ErrorCode::permission_denied, "making an image needs root").with_hint("run it with sudo");
  for (const char* path : {"/usr/bin/mmdebstrap", "/bin/tar"})
    if (::access(path, X_OK) < 0) return Error::from_errno(errno, path).with_hint("apt-get install mmdebstrap tar");
  return {};
}

// Nothing of the caller's but how to reach the network.
std::vector<std::string> child_env() {
  std::vector<std::string> env = {kDefaultPath, "LC_ALL=C.UTF-8", "HOME=/root", "TMPDIR=/tmp",
                                  "DEBIAN_FRONTEND=noninteractive"};
  for (const char* name : {"http_proxy", "https_proxy", "no_proxy"})
    if (const char* value = std::getenv(name)) env.push_back(std::string(name) + "=" + value);
  return env;
}

Result<UniqueFd> make_directory(const std::string& path, mode_t mode, uid_t owner) {
  if (::mkdir(path.c_str(), mode) < 0) return Error::from_errno(errno, "make a directory for the build");
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!directory || ::fchmod(directory.get(), mode) < 0 || ::fchown(directory.get(), owner, owner) < 0)
    return Error::from_errno(errno, "set up a directory for the build");
  return directory;
}

// A build under way: its directory in the store, deleted again unless it was published.
class Staging {
 public:
  Staging(const StoreDir& store, std::string name) : store_(store), name_(std::move(name)) {}
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() {
    if (published_) return;
    std::error_code failure;  // what is left then is deleted by the next build
    std::filesystem::remove_all(path(), failure);
  }
  // The name may now mean the image that was replaced, which may be pinned: it is no longer ours to delete.
  Status publish(const std::string& image) {
    LMSB_CHECK(store_.publish(name_, image));
    published_ = true;
    return {};
  }
  std::string path() const { return store_.path_of(name_); }

 private:
  const StoreDir& store_;
  std::string name_;
  bool published_ = false;
};

// The end of what the tools said, on lines of its own in a message.
std::string tail_of(const std::string& log) {
  const std::string text = os::read_text(log);
  const std::size_t from = text.size() > kTailMax ? text.find('\n', text.size() - kTailMax) : 0;
  if (from == std::string::npos || text.empty()) return "";
  return "\n" + to_utf8(std::string_view(text).substr(from));
}

Result<UniqueFd> open_log(const Staging& staging, bool verbose) {
  const std::string path = verbose ? "/dev/stderr" : staging.path() + "/log";
  UniqueFd log(verbose ? ::fcntl(2, F_DUPFD_CLOEXEC, 3)
                       : ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log) return Error::from_errno(errno, "open " + path);
  return log;
}

struct Pair {
  UniqueFd reader;
  UniqueFd writer;
};

// A socket pair rather than a pipe: a reader that died is an error, not a signal.
Result<Pair> make_stream() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0)
    return Error::from_errno(errno, "make a socket pair");
  return Pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// What one build works with.
struct Work {
  const BuildRequest& request;
  const Staging& staging;
  Deadline deadline;
  UniqueFd log;
};

Result<Child> start_maker(const Work& work, const Definition& definition, BorrowedFd output) {
  LMSB_TRY(const auto sources, find_sources(definition.suite, work.request.mirror));
  const std::uint32_t user_ids = work.request.user_ids;
  const uid_t owner = user_ids == 0 ? 0 : kImageRangeBase;
  LMSB_TRY(const auto temporary, make_directory(work.staging.path() + "/tmp", 01777, owner));
  work.request.progress("installing Debian " + sources.suite + " from " + sources.sources[0].uri);
  const ChildOptions options{ChildOptions::Kind::make_system,
                             mmdebstrap_command(definition, sources, keyring()),
                             child_env(),
                             BorrowedFd(-1),
                             output,
                             work.log,
                             temporary,
                             user_ids == 0 ? sandbox::kIdRange : user_ids,
                             user_ids != 0};
  return Child::start(options);
}

Result<Child> start_unpacker(const Work& work, BorrowedFd input) {
  LMSB_TRY(const auto rootfs, make_directory(work.staging.path() + "/rootfs", 0755, kImageRangeBase));
  const ChildOptions options{
      ChildOptions::Kind::unpack,
      {"/bin/tar", "--extract", "--read-full-records", "--numeric-owner", "--same-owner", "--preserve-permissions",
       "--no-xattrs", "--no-acls", "--no-selinux", "--exclude=./dev/*", "--file=-"},
      child_env(),
      input,
      BorrowedFd(-1),
      work.log,
      rootfs,
      work.request.user_ids == 0 ? sandbox::kIdRange : work.request.user_ids};
  return Child::start(options);
}

Status require_success(Child& child, const Work& work, const char* program) {
  auto success = child.wait(work.deadline);
  if (!success.ok()) return std::move(success).error().with_context(program);
  if (*success) return {};
  return Error(ErrorCode::failed_precondition, std::string(program) + " failed" + tail_of(work.staging.path() + "/log"))
      .with_hint("--verbose shows all it says; --mirror URL chooses another mirror");
}

// The tar stream from mmdebstrap to tar. What mmdebstrap says goes before what tar or the stream say: it is the cause.
Result<StreamFacts> make_rootfs(const Work& work, const Definition& definition) {
  LMSB_TRY(auto made, make_stream());
  LMSB_TRY(auto unpacked, make_stream());
  LMSB_TRY(auto maker, start_maker(work, definition, made.writer));
  made.writer.reset();
  LMSB_TRY(auto unpacker, start_unpacker(work, unpacked.reader));
  unpacked.reader.reset();
  auto facts = pump(std::move(made.reader), std::move(unpacked.writer),
                    {work.deadline, work.request.cancelled, work.request.tick});
  if (!facts.ok() && facts.error().sys_errno() != EPIPE) return facts;
  if (!facts.ok()) LMSB_CHECK(require_success(unpacker, work, "tar"));
  LMSB_CHECK(require_success(maker, work, "mmdebstrap"));
  LMSB_CHECK(require_success(unpacker, work, "tar"));
  return facts;
}

Status write_facts(const Staging& staging, const Image& image) {
  const std::string path = staging.path() + "/image.json";
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  const std::string text = format_image(image);
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return Error::from_errno(errno, "write image.json");
  return {};
}

Status drop_scratch(const Staging& staging) {
  for (const char* name : {"/tmp", "/log"}) {
    std::error_code failure;
    std::filesystem::remove_all(staging.path() + name, failure);
    if (failure) return Error::from_errno(failure.value(), "remove scratch files");
  }
  return {};
}

Result<Image> build_in(const StoreDir& store, const BuildRequest& request, const Definition& definition) {
  LMSB_TRY(auto name, store.make_staging());
  Staging staging(store, std::move(name));
  LMSB_TRY(auto log, open_log(staging, request.verbose));
  const Work work{request, staging, std::chrono::steady_clock::now() + kBuildTimeout, std::move(log)};
  LMSB_TRY(const auto facts, make_rootfs(work, definition));
  request.progress("unpacked " + std::to_string(facts.size.count() >> 20U) + " MiB; writing them to the disk");
  LMSB_CHECK(drop_scratch(staging));
  Image image = image_of(definition);
  image.digest = facts.digest;
  image.size = facts.size;
  image.created_at = timestamp();
  image.rootfs = request.data_dir + "/images/" + image.name + "/rootfs";
  LMSB_CHECK(write_facts(staging, image));
  LMSB_CHECK(staging.publish(image.name));
  return image;
}

}  // namespace

Result<Image> build(const BuildRequest& request) {
  const Definition* definition = find_definition(request.name);
  if (definition == nullptr)
    return Error(ErrorCode::not_found, "no definition of an image " + lmsb::quoted(request.name))
        .with_hint("known: " + definition_names());
  LMSB_CHECK(require_programs());
  if (request.user_ids == 0)
    LMSB_CHECK(sandbox::require_unclaimed(sandbox::read_id_claims(), kImageRangeBase, "images"));
  LMSB_TRY(const auto store, StoreDir::create(request.data_dir + "/images"));
  LMSB_CHECK(store.remove_leftovers());
  LMSB_CHECK(store.require_space(definition->room.count()));
  auto image = build_in(store, request, *definition);
  if (!image.ok()) return std::move(image).error().with_context("build image " + request.name);
  LMSB_CHECK(store.remove_leftovers());
  return image;
}

}  // namespace lmsb::image
