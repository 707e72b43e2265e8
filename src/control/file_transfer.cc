// put_files and collect_files: files travel as a bundle over stdin and stdout of a process with a command's posture.
#include <algorithm>
#include <cerrno>
#include <set>

#include "base/text.h"
#include "control/bundle_reader.h"
#include "control/command_run.h"
#include "control/output_capture.h"
#include "guest_protocol/bundle.h"
#include "io/deadline.h"
#include "os/memfd.h"

namespace lmsb::control {
namespace {

using guest_client::Ending;
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

Error why_not_read(int error, const std::string& path) {
  const std::string what = "read " + quoted(path);
  if (error == ENOENT || error == ENOTDIR)
    return Error(ErrorCode::not_found, what + ": it is not there").with_slug("file_not_found");
  if (error == EISDIR)
    return Error(ErrorCode::failed_precondition, what + ": it is a directory").with_slug("is_a_directory");
  return Error::from_errno(error, what);
}

// What the sandbox's `get` wrote of the files at `paths`.
io::Task<Bundle> read_files(boost::asio::io_context& loop, SandboxHandle& sandbox, std::string cwd,
                            std::vector<std::string> paths, Bytes cap) {
  guest_client::StartSpec spec;
  spec.program = guest_protocol::Program::get;
  spec.argv = std::move(paths);
  spec.cwd = std::move(cwd);
  const io::Deadline deadline = io::Deadline::in(kTransferLimit);
  LMSB_CO_TRY(auto process, sandbox.channel().start(spec, -1));
  LMSB_CO_CHECK(co_await process.wait_started(deadline));
  // Twice the cap, because of a longer stream the first half is kept.
  OutputCapture out(loop, process.take_stdout(), Bytes(2 * cap.count()));
  LMSB_CO_TRY(const Ending ending, co_await process.wait_ended(deadline));
  if (ending.kind != Ending::Kind::exited)
    co_return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost");
  (void)co_await out.wait_end(deadline);
  Output stream = out.take();
  const std::size_t whole = stream.truncated_bytes > 0 ? stream.cut_at : stream.data.size();
  stream.data.resize(std::min<std::size_t>(whole, cap.count()));
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
  if (ending.kind == Ending::Kind::start_failed)
    co_return Error::from_errno(ending.error, "write files in " + quoted(cwd)).with_slug("invalid_cwd");
  if (ending.kind != Ending::Kind::exited)
    co_return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost");
  if (ending.exited.status == 0) co_return Status();
  (void)co_await err.wait_end(deadline);
  const std::string path = err.take().data;
  co_return Error::from_errno((ending.exited.status >> 8) & 0xff, "write file " + quoted(path))
      .with_slug("file_not_written");
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
  const Error rest = Error(ErrorCode::resource_exhausted, "together the files are larger than " + format_bytes(cap))
                         .with_slug("files_too_large")
                         .with_hint("keep the sandbox and read them one by one: GET /v1/sandboxes/{id}/files");
  for (const std::string& path : paths) {
    const auto error = bundle->errors.find(path);
    if (error != bundle->errors.end()) {
      collected.left_out.emplace(path, why_not_read(error->second, path));
    } else if (!read.contains(path)) {
      collected.left_out.emplace(path, rest);
    }
  }
  collected.files = std::move(bundle->files);
  co_return collected;
}

}  // namespace lmsb::control
