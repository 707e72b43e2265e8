// snapshot export, snapshot import: snapshots as files, in constant memory.
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/progress.h"
#include "json/writer.h"
#include "os/atomic_file.h"

namespace lmsb::cli {
namespace {

// For an answer that comes when everything is on the disk.
constexpr std::chrono::minutes kLongest{30};

Call export_call(const SnapshotExportCommand& command, Progress& progress) {
  Call call("GET", "/v1/snapshots/" + url_segment(command.snapshot) + "/export");
  call.moved = [&progress](std::size_t octets) { progress.add(octets); };
  return call;
}

Status receive(Api& api, const Call& call, int out) {
  LMSB_TRY(const Answer answer, api.send_for_octets(call, out));
  return answer.status < 400 ? Status() : error_of(answer);
}

// To a device, a pipe: what is no file is written to, not replaced.
Status export_into(Api& api, const Call& call, const std::string& to) {
  const UniqueFd out(::open(to.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
  if (!out) return Error::from_errno(errno, "open " + to);
  return receive(api, call, out.get());
}

// The file appears whole or not at all.
Status export_to_file(Api& api, const Call& call, const std::string& to) {
  struct stat status {};
  const bool is_there = ::stat(to.c_str(), &status) == 0;
  if (is_there && S_ISDIR(status.st_mode)) return Error(ErrorCode::invalid_argument, to + " is a directory");
  if (is_there && !S_ISREG(status.st_mode)) return export_into(api, call, to);
  const std::filesystem::path path(to);
  const std::string directory = path.has_parent_path() ? path.parent_path().string() : ".";
  const UniqueFd dir(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return Error::from_errno(errno, "open the directory " + directory);
  os::AtomicFile file(dir.get());
  if (const int error = file.open(0600); error != 0) return Error::from_errno(error, "write " + to);
  LMSB_CHECK(receive(api, call, file.fd()));
  const int error = file.commit(path.filename().c_str(), os::AtomicFile::Existing::replaced);
  return error == 0 ? Status() : Error::from_errno(error, "write " + to);
}

Result<UniqueFd> open_file(const std::string& path, std::optional<std::uint64_t>& size) {
  UniqueFd file(path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0) return Error::from_errno(errno, "open " + path);
  if (S_ISDIR(status.st_mode)) return Error(ErrorCode::invalid_argument, path + " is a directory");
  if (S_ISREG(status.st_mode)) size = static_cast<std::uint64_t>(status.st_size);
  return file;
}

std::string import_query(const SnapshotImportCommand& command) {
  std::string query;
  if (!command.name.empty()) query += "&name=" + url_segment(command.name);
  if (command.disk) query += "&disk_bytes=" + std::to_string(command.disk->count());
  if (!query.empty()) query.front() = '?';
  return query;
}

}  // namespace

Result<int> execute(const SnapshotExportCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  const bool is_stream = command.file == "-";
  if (is_stream && ::isatty(STDOUT_FILENO) == 1)
    return Error(ErrorCode::invalid_argument, "the file of a snapshot is nothing for a terminal")
        .with_hint("name a file with -o, or lead stdout elsewhere");
  const std::string to = command.file.empty() ? command.snapshot + ".lmsnap" : command.file;
  std::uint64_t octets = 0;
  {
    Progress progress(console, "export", std::nullopt, shows_progress());
    const Call call = export_call(command, progress);
    LMSB_CHECK(is_stream ? receive(*connection, call, STDOUT_FILENO) : export_to_file(*connection, call, to));
    octets = progress.done();
  }
  if (is_stream) return 0;
  json::Writer out;
  out.begin_object().key("snapshot").string(command.snapshot).key("file").string(to);
  out.key("bytes").unsigned_integer(octets).end_object();
  console.out(command.target.json ? pretty_text(std::move(out).str()) : to + "\n");
  return 0;
}

Result<int> execute(const SnapshotImportCommand& command, Console& console) {
  std::optional<std::uint64_t> size;
  LMSB_TRY(const UniqueFd file, open_file(command.file, size));
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  Call call("POST", "/v1/snapshots/import" + import_query(command));
  call.timeout = kLongest;
  std::optional<Answer> answer;
  {
    Progress progress(console, "import", size, shows_progress());
    call.moved = [&progress](std::size_t octets) { progress.add(octets); };
    LMSB_TRY(answer, connection->send_octets(call, file.get()));
  }
  if (answer->status >= 400) return error_of(*answer);
  LMSB_TRY(const auto made, parse_json(answer->body, "the answer to import"));
  console.out(command.target.json ? pretty(made.root()) : text_field(made.root(), "id") + "\n");
  return 0;
}

}  // namespace lmsb::cli
