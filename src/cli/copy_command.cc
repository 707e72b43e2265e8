// cp: files and directories into a sandbox and out of it, in constant memory.
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/copy_place.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "cli/tar_worker.h"
#include "os/atomic_file.h"

namespace lmsb::cli {
namespace {

std::string url_of(const CopyPlace& place, const char* what, const std::string& path) {
  return "/v1/sandboxes/" + url_segment(place.sandbox) + "/" + what + "?" + path_query(path);
}

// The type of what stands there, links followed; "" = nothing does.
Result<std::string> remote_type(Api& api, const CopyPlace& place) {
  const auto answer = call_json(api, Call("GET", url_of(place, "files/stat", place.path)));
  if (!answer.ok() && answer.error().slug() == "file_not_found") return std::string();
  if (!answer.ok()) return answer.error();
  const auto target = answer->root().find("target");
  if (target && target->kind() == json::Kind::object) return text_field(*target, "type");
  const auto file = answer->root().find("file");
  return file ? text_field(*file, "type") : "";
}

Status check(Result<Answer> answer) {
  if (!answer.ok()) return std::move(answer).error();
  return answer->status < 400 ? Status() : error_of(*answer);
}

// How far a copy has come. `whole`: its octets, where they are known before.
struct Copying {
  explicit Copying(Console& console, std::optional<std::uint64_t> whole = {})
      : progress(console, "copy", whole, shows_progress()) {}
  Call call(const char* method, std::string target) {
    Call made(method, std::move(target));
    made.moved = [this](std::size_t octets) { progress.add(octets); };
    return made;
  }
  Progress progress;
};

void tell_left_out(Console& console, const TarWorker& worker) {
  for (const std::string& path : worker.left_out())
    note(console, path + " is left out: no file, directory or symbolic link");
}

Status send_directory(Api& api, const CopyCommand& command, const std::string& to, Console& console) {
  LMSB_TRY(auto worker, TarWorker::pack(command.from.path));
  Status taken;
  {
    Copying copying(console);
    taken = check(api.send_octets(copying.call("PUT", url_of(command.to, "archive", to)), worker.fd()));
  }
  Status packed = worker.finish();
  // What failed here is why the archive was cut off there, unless it failed because nobody took it.
  if (!packed.ok() && packed.error().sys_errno() != EPIPE) return packed;
  LMSB_CHECK(std::move(taken));
  tell_left_out(console, worker);
  return {};
}

Status copy_in(Api& api, const CopyCommand& command, Console& console) {
  LMSB_TRY(const std::string type, remote_type(api, command.to));
  const std::string to = copied_path(command.from, command.to, type == "directory");
  if (command.from.is_stream()) {
    Copying copying(console);
    return check(api.send_octets(copying.call("PUT", url_of(command.to, "archive", to)), STDIN_FILENO));
  }
  const UniqueFd file(::open(command.from.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0) return Error::from_errno(errno, "open " + command.from.path);
  if (S_ISDIR(status.st_mode)) return send_directory(api, command, to, console);
  if (!S_ISREG(status.st_mode))
    return Error(ErrorCode::invalid_argument, command.from.path + " is neither a file nor a directory");
  std::array<char, 16> mode{};
  std::snprintf(mode.data(), mode.size(), "&mode=%04o", static_cast<unsigned>(status.st_mode & 0777U));
  Copying copying(console, static_cast<std::uint64_t>(status.st_size));
  return check(api.send_octets(copying.call("PUT", url_of(command.to, "files", to) + mode.data()), file.get()));
}

Status receive_directory(Api& api, const CopyCommand& command, const std::string& to, Console& console) {
  if (::mkdir(to.c_str(), 0777) < 0 && errno != EEXIST) return Error::from_errno(errno, "make the directory " + to);
  // What an earlier copy has brought may be a link to anywhere.
  LMSB_TRY(auto worker, TarWorker::unpack(to, to == command.to.path));
  Status given;
  {
    Copying copying(console);
    const Call call = copying.call("GET", url_of(command.from, "archive", command.from.path));
    given = check(api.send_for_octets(call, worker.fd()));
  }
  Status unpacked = worker.finish();
  if (!given.ok() && given.error().sys_errno() != EPIPE) return given;
  LMSB_CHECK(unpacked);
  tell_left_out(console, worker);
  return {};
}

Status receive_file(Api& api, const CopyCommand& command, const std::string& to, Console& console) {
  Copying copying(console);
  const Call call = copying.call("GET", url_of(command.from, "files", command.from.path));
  const Name name = to == command.to.path ? Name::of_user : Name::made;
  return write_file(to, name, 0666 & ~os::file_mode_mask(),
                    [&](int out) { return check(api.send_for_octets(call, out)); });
}

Status copy_out(Api& api, const CopyCommand& command, Console& console) {
  if (command.to.is_stream()) {
    Copying copying(console);
    const Call call = copying.call("GET", url_of(command.from, "archive", command.from.path));
    return check(api.send_for_octets(call, STDOUT_FILENO));
  }
  LMSB_TRY(const std::string type, remote_type(api, command.from));
  std::error_code ignored;
  const bool to_is_directory = std::filesystem::is_directory(command.to.path, ignored);
  const std::string to = copied_path(command.from, command.to, to_is_directory);
  return type == "directory" ? receive_directory(api, command, to, console) : receive_file(api, command, to, console);
}

}  // namespace

Result<int> execute(const CopyCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_CHECK(command.from.sandbox.empty() ? copy_in(*connection, command, console)
                                          : copy_out(*connection, command, console));
  return 0;
}

}  // namespace lmsb::cli
