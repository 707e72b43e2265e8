// snapshot export, snapshot import: snapshots as files, in constant memory.
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "json/writer.h"

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
    const auto fill = [&](int out) { return receive(*connection, call, out); };
    LMSB_CHECK(is_stream ? fill(STDOUT_FILENO)
                         : write_file(to, command.file.empty() ? Name::made : Name::of_user, 0600, fill));
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
