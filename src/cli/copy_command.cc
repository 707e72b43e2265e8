// cp: files and directories into a sandbox and out of it, in constant memory.
#include <array>
#include <cerrno>
#include <charconv>
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
#include "json/writer.h"
#include "os/atomic_file.h"

namespace lmsb::cli {
namespace {

std::string url_of(const CopyPlace& place, const char* what, const std::string& path) {
  return "/v1/sandboxes/" + url_segment(place.sandbox) + "/" + what + "?" + path_query(path);
}

// What stands there, links followed; no type: nothing does.
struct Remote {
  std::string type;
  std::uint32_t mode = 0755;
  bool is_directory() const { return type == "directory"; }
};

Result<Remote> look_at(Api& api, const CopyPlace& place) {
  const auto answer = call_json(api, Call("GET", url_of(place, "files/stat", place.path)));
  if (!answer.ok() && answer.error().slug() == "file_not_found") return Remote();
  if (!answer.ok()) return answer.error();
  const auto target = answer->root().find("target");
  const auto file = target && target->kind() == json::Kind::object ? target : answer->root().find("file");
  if (!file) return Remote();
  Remote remote;
  remote.type = text_field(*file, "type");
  const std::string mode = text_field(*file, "mode");
  (void)std::from_chars(mode.data(), mode.data() + mode.size(), remote.mode, 8);
  remote.mode &= 0777U;  // what a sandbox says is not to be more than that here
  return remote;
}

Result<Answer> checked(Result<Answer> answer) {
  if (answer.ok() && answer->status >= 400) return error_of(*answer);
  return answer;
}

Status check(Result<Answer> answer) {
  const auto good = checked(std::move(answer));
  return good.ok() ? Status() : good.error();
}

// How far a copy has come. `whole`: its octets, where they are known before.
struct Copying {
  Copying(const CopyCommand& command, Console& console, std::optional<std::uint64_t> whole = {})
      : progress(console, "copy", whole, !command.quiet && shows_progress()) {}
  Call call(const char* method, std::string target) {
    Call made(method, std::move(target));
    made.moved = [this](std::size_t octets) { progress.add(octets); };
    return made;
  }
  Progress progress;
};

// What has been copied.
struct Copied {
  std::string path;         // where to
  std::uint64_t files = 1;  // directories and links among them
  std::uint64_t bytes = 0;
  std::vector<std::pair<std::string, std::string>> skipped;  // paths, and why
  std::uint64_t skipped_count = 0;
};

void add_left_out(Copied& copied, const TarWorker& worker) {
  for (const std::string& path : worker.left_out())
    copied.skipped.emplace_back(path, "no file, directory or symbolic link");
  copied.skipped_count += worker.left_out().size();
}

// What the daemon says of an archive that it has taken apart.
Status add_unpacked(Copied& copied, const Answer& answer) {
  LMSB_TRY(const auto said, parse_json(answer.body, "the answer to cp"));
  const auto count = [&said](std::string_view name) {
    return static_cast<std::uint64_t>(number_field(said.root(), name).value_or(0));
  };
  copied.files = count("files");
  copied.bytes = count("bytes");
  copied.skipped_count += count("skipped_count");
  const auto skipped = said.root().find("skipped");
  for (const json::Value one : skipped ? skipped->items() : std::vector<json::Value>())
    copied.skipped.emplace_back(text_field(one, "path"), text_field(one, "cause"));
  return {};
}

Result<Copied> send_directory(Api& api, const CopyCommand& command, const std::string& to, Console& console) {
  LMSB_TRY(auto worker, TarWorker::pack(command.from.path));
  Result<Answer> taken = Answer();
  {
    Copying copying(command, console);
    taken = checked(api.send_octets(copying.call("PUT", url_of(command.to, "archive", to)), worker.fd()));
  }
  Status packed = worker.finish();
  // What failed here is why the archive was cut off there, unless it failed because nobody took it.
  if (!packed.ok() && packed.error().sys_errno() != EPIPE) return std::move(packed).error();
  if (!taken.ok()) return std::move(taken).error();
  Copied copied{to};
  add_left_out(copied, worker);
  LMSB_CHECK(add_unpacked(copied, *taken));
  return copied;
}

Result<Copied> send_stream(Api& api, const CopyCommand& command, const std::string& to, Console& console) {
  Copying copying(command, console);
  LMSB_TRY(const auto taken,
           checked(api.send_octets(copying.call("PUT", url_of(command.to, "archive", to)), STDIN_FILENO)));
  Copied copied{to};
  LMSB_CHECK(add_unpacked(copied, taken));
  return copied;
}

Result<Copied> copy_in(Api& api, const CopyCommand& command, Console& console) {
  LMSB_TRY(const Remote there, look_at(api, command.to));
  const std::string to = copied_path(command.from, command.to, there.is_directory());
  if (command.from.is_stream()) return send_stream(api, command, to, console);
  const UniqueFd file(::open(command.from.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0) return Error::from_errno(errno, "open " + command.from.path);
  if (S_ISDIR(status.st_mode)) return send_directory(api, command, to, console);
  if (!S_ISREG(status.st_mode))
    return Error(ErrorCode::invalid_argument, command.from.path + " is neither a file nor a directory");
  std::array<char, 16> mode{};
  std::snprintf(mode.data(), mode.size(), "&mode=%04o", static_cast<unsigned>(status.st_mode & 0777U));
  Copying copying(command, console, static_cast<std::uint64_t>(status.st_size));
  LMSB_CHECK(check(api.send_octets(copying.call("PUT", url_of(command.to, "files", to) + mode.data()), file.get())));
  Copied copied{to};
  copied.bytes = copying.progress.done();
  return copied;
}

// Lets an archive of the sandbox's directory go through `worker`.
Status receive(Api& api, const CopyCommand& command, TarWorker& worker, Console& console) {
  Status given;
  {
    Copying copying(command, console);
    const Call call = copying.call("GET", url_of(command.from, "archive", command.from.path));
    given = check(api.send_for_octets(call, worker.fd()));
  }
  Status worked = worker.finish();
  if (!given.ok() && given.error().sys_errno() != EPIPE) return given;
  return worked;
}

Result<Copied> receive_directory(Api& api, const CopyCommand& command, const std::string& to, Console& console) {
  if (::mkdir(to.c_str(), 0777) < 0 && errno != EEXIST) return Error::from_errno(errno, "make the directory " + to);
  // What an earlier copy has brought may be a link to anywhere.
  LMSB_TRY(auto worker, TarWorker::unpack(to, to == command.to.path));
  LMSB_CHECK(receive(api, command, worker, console));
  Copied copied{to, worker.members(), worker.bytes()};
  add_left_out(copied, worker);
  return copied;
}

Result<Copied> receive_file(Api& api, const CopyCommand& command, const std::string& to, Console& console) {
  Copying copying(command, console);
  const Call call = copying.call("GET", url_of(command.from, "files", command.from.path));
  const Name name = to == command.to.path ? Name::of_user : Name::made;
  LMSB_CHECK(write_file(to, name, 0666 & ~os::file_mode_mask(),
                        [&](int out) { return check(api.send_for_octets(call, out)); }));
  Copied copied{to};
  copied.bytes = copying.progress.done();
  return copied;
}

// As an archive in which a directory keeps its name.
Result<Copied> receive_stream(Api& api, const CopyCommand& command, const Remote& there, Console& console) {
  const std::string name = there.is_directory() ? kept_name(command.from) : "";
  if (name.empty()) {
    Copying copying(command, console);
    const Call call = copying.call("GET", url_of(command.from, "archive", command.from.path));
    LMSB_CHECK(check(api.send_for_octets(call, STDOUT_FILENO)));
  } else {
    LMSB_TRY(auto worker, TarWorker::pass_on(STDOUT_FILENO, name, there.mode));
    LMSB_CHECK(receive(api, command, worker, console));
  }
  return Copied{"-"};
}

Result<Copied> copy_out(Api& api, const CopyCommand& command, Console& console) {
  LMSB_TRY(const Remote there, look_at(api, command.from));
  if (command.to.is_stream()) return receive_stream(api, command, there, console);
  std::error_code ignored;
  const bool to_is_directory = std::filesystem::is_directory(command.to.path, ignored);
  const std::string to = copied_path(command.from, command.to, to_is_directory);
  return there.is_directory() ? receive_directory(api, command, to, console) : receive_file(api, command, to, console);
}

std::string copied_json(const Copied& copied) {
  json::Writer out;
  out.begin_object().key("path").string(copied.path).key("files").unsigned_integer(copied.files);
  out.key("bytes").unsigned_integer(copied.bytes).key("skipped").begin_array();
  for (const auto& [path, cause] : copied.skipped)
    out.begin_object().key("path").string(path).key("cause").string(cause).end_object();
  out.end_array().key("skipped_count").unsigned_integer(copied.skipped_count).end_object();
  return pretty_text(std::move(out).str());
}

void tell(const Copied& copied, Console& console) {
  for (const auto& [path, cause] : copied.skipped) note(console, path + " is left out: " + cause);
  if (copied.skipped_count > copied.skipped.size())
    note(console, std::to_string(copied.skipped_count - copied.skipped.size()) + " more are left out");
}

}  // namespace

Result<int> execute(const CopyCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  LMSB_TRY(const Copied copied, command.from.sandbox.empty() ? copy_in(*connection, command, console)
                                                             : copy_out(*connection, command, console));
  if (command.target.json) {
    console.out(copied_json(copied));
  } else {
    tell(copied, console);
  }
  return 0;
}

}  // namespace lmsb::cli
