// put_files and collect_files: files travel as a bundle over stdin and stdout of a process with a command's posture.
#include <algorithm>
#include <cerrno>
#include <set>
#include <sys/wait.h>

#include "base/text.h"
#include "control/bundle_reader.h"
#include "control/command_run.h"
#include "control/command_start.h"
#include "control/file_fault.h"
#include "control/output_capture.h"
#include "guest_client/guest_error.h"
#include "guest_protocol/bundle.h"
#include "io/deadline.h"
#include "os/memfd.h"

namespace lmsb::control {
namespace {

using guest_client::Ending;
using guest_client::guest_error;
using guest_protocol::BundleEntry;

constexpr std::chrono::milliseconds kTransferLimit{60'000};

std::string make_bundle(const std::vector<File>& files) {
  std::string bundle;
  for (const File& file : files) {
    BundleEntry entry{};
    entry.magic = guest_protocol::kBundleMagic;
    entry.path_size = static_cast<std::uint32_t>(file.path.size());
    entry.content_size = file.data.size();
    entry.mode = 0644;
    bundle.append(reinterpret_cast<const char*>(&entry), sizeof entry);
    bundle += file.path;
    bundle += file.data;
  }
  return bundle;
}

Error too_large(Bytes cap) {
  return Error(ErrorCode::resource_exhausted, "with those before it the files are larger than " + format_bytes(cap))
      .with_slug("files_too_large")
      .with_hint("keep the sandbox and read them one by one: GET /v1/sandboxes/{id}/files");
}

Error why_not_read(int error, const std::string& path, Bytes cap) {
  switch (error) {
    case guest_protocol::kTooLargeForBundle: return too_large(cap);
    case EINVAL:  // as `get` says of what is no file; a socket cannot even be opened
    case ENXIO: return file_error("read", "read", {path, ENOTSUP});
    case ENOTDIR: return file_error("read", "read", {path, ENOENT});
    default: return file_error("read", "read", {path, error});
  }
}

// How long a bundle of them is at most.
std::size_t bundle_size(const std::vector<std::string>& paths, Bytes content) {
  std::size_t size = content.count();
  for (const std::string& path : paths) size += sizeof(BundleEntry) + path.size();
  return size;
}

// What the sandbox's `get` wrote of the files at `paths`, of which it leaves out what is beyond `cap`.
io::Task<Bundle> read_files(boost::asio::io_context& loop, SandboxHandle& sandbox, std::string cwd,
                            std::vector<std::string> paths, Bytes cap) {
  guest_client::StartSpec spec;
  spec.program = guest_protocol::Program::get;
  const std::size_t longest = bundle_size(paths, cap);
  spec.argv = std::move(paths);
  spec.argv.insert(spec.argv.begin(), std::to_string(cap.count()));
  spec.cwd = std::move(cwd);
  const io::Deadline deadline = io::Deadline::in(kTransferLimit);
  LMSB_CO_TRY(auto process, sandbox.channel().start(spec, -1));
  LMSB_CO_CHECK(co_await process.wait_started(deadline));
  // Twice that, because of a longer stream the first half is kept.
  OutputCapture out(loop, process.take_stdout(), Bytes(2 * longest));
  LMSB_CO_TRY(const Ending ending, co_await process.wait_ended(deadline));
  if (ending.kind == Ending::Kind::start_failed)
    co_return not_started("read files in " + quoted(spec.cwd), spec.cwd, ending);
  if (ending.kind != Ending::Kind::exited)
    co_return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost");
  (void)co_await out.wait_end(deadline);
  Output stream = out.take();
  const std::size_t whole = stream.truncated_bytes > 0 ? stream.cut_at : stream.data.size();
  stream.data.resize(std::min(whole, longest));
  co_return read_bundle(stream.data);
}

}  // namespace

Status check_paths(const std::vector<std::string>& paths) {
  if (paths.size() > guest_protocol::kMaxBundleFiles)
    return Error(ErrorCode::invalid_argument, "more than 1000 files").with_slug("too_many_files");
  for (const std::string& path : paths)
    if (path.empty() || path.size() > guest_protocol::kMaxBundlePath || path.find('\0') != std::string::npos)
      return Error(ErrorCode::invalid_argument, "malformed path " + quoted(path)).with_slug("invalid_path");
  return {};
}

io::Task<void> put_files(boost::asio::io_context& loop, SandboxHandle& sandbox, std::string cwd,
                         std::vector<File> files) {
  std::vector<std::string> paths;
  for (const File& file : files) paths.push_back(file.path);
  LMSB_CO_CHECK(check_paths(paths));
  LMSB_CO_TRY(const UniqueFd bundle, os::make_sealed_memfd("files", make_bundle(files)));
  guest_client::StartSpec spec;
  spec.program = guest_protocol::Program::put;
  spec.argv = {"put"};
  spec.cwd = cwd;
  const io::Deadline deadline = io::Deadline::in(kTransferLimit);
  LMSB_CO_TRY(auto process, sandbox.channel().start(spec, bundle.get()));
  LMSB_CO_CHECK(co_await process.wait_started(deadline));
  OutputCapture err(loop, process.take_stderr(), Bytes::KiB(8));
  LMSB_CO_TRY(const Ending ending, co_await process.wait_ended(deadline));
  if (ending.kind == Ending::Kind::start_failed) co_return not_started("write files in " + quoted(cwd), cwd, ending);
  if (ending.kind != Ending::Kind::exited)
    co_return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost");
  if (ending.exited.status == 0) co_return Status();
  (void)co_await err.wait_end(deadline);
  const std::string path = err.take().data;
  const std::string what = "write file " + quoted(path);
  if (!WIFEXITED(ending.exited.status))
    co_return Error(ErrorCode::failed_precondition, what)
        .with_cause("the process that writes it was killed")
        .with_slug("file_not_written")
        .with_hint("the sandbox may have run out of memory: limits.memory_bytes");
  co_return guest_error(WEXITSTATUS(ending.exited.status), what).with_slug("file_not_written");
}

io::Always<CollectedFiles> collect_files(boost::asio::io_context& loop, SandboxHandle& sandbox, std::string cwd,
                                         std::vector<std::string> paths, Bytes cap) {
  CollectedFiles collected;
  auto bundle = co_await read_files(loop, sandbox, std::move(cwd), paths, cap);
  if (!bundle.ok()) {
    for (const std::string& path : paths) collected.left_out.emplace(path, bundle.error());
    co_return collected;
  }
  std::set<std::string> read;
  for (const File& file : bundle->files) read.insert(file.path);
  // A bundle that does not add up, or ends too soon.
  const Error rest =
      Error(ErrorCode::unavailable, "the sandbox ended while its files were read").with_slug("sandbox_lost");
  for (const std::string& path : paths) {
    const auto error = bundle->errors.find(path);
    if (error != bundle->errors.end()) {
      collected.left_out.emplace(path, why_not_read(error->second, path, cap));
    } else if (!read.contains(path)) {
      collected.left_out.emplace(path, rest);
    }
  }
  collected.files = std::move(bundle->files);
  co_return collected;
}

}  // namespace lmsb::control
