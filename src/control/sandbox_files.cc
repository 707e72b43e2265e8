#include "control/sandbox_files.h"

#include <algorithm>

#include "base/text.h"
#include "control/zstd_stream.h"
#include "guest_protocol/file_records.h"

namespace lmsb::control {
namespace {

using std::chrono::milliseconds;
using Input = FileOperation::Input;

constexpr milliseconds kQuick{60'000};     // one file
constexpr milliseconds kWhole{1'800'000};  // a tree
constexpr milliseconds kPiece{120'000};    // the next piece of a stream
constexpr std::size_t kMaxPattern = 4096;
constexpr std::size_t kMaxReplaced = 60 * 1024;  // octets of the old text, and of the new one

std::string flag(bool value) { return value ? "1" : "0"; }

Error malformed_path(const std::string& path) {
  return Error(ErrorCode::invalid_argument, "malformed path " + quoted(path))
      .with_slug("invalid_path")
      .with_hint("a path has 1 to 4095 bytes, with the working directory in front, and no NUL");
}

Status check_text(const std::string& text, std::size_t most, const char* name) {
  if (text.size() <= most && text.find('\0') == std::string::npos) return {};
  return Error(ErrorCode::invalid_argument,
               std::string(name) + " is longer than " + std::to_string(most) + " bytes, or has a NUL in it")
      .with_slug("invalid_request")
      .with_hint("send a shorter text; what is longer, or binary, a command in the sandbox can do");
}

// `hint`: what to send instead of nothing.
Status check_pattern(const std::string& pattern, const char* name, const char* hint) {
  if (pattern.empty())
    return Error(ErrorCode::invalid_argument, std::string(name) + " is empty")
        .with_slug("invalid_pattern")
        .with_hint(hint);
  return check_text(pattern, kMaxPattern, name);
}

bool is_number(std::string_view text) { return text.find_first_not_of("0123456789") == std::string_view::npos; }

// As the guest takes it: "#" before a number, so that no name is taken for one; "-" for nobody.
Result<std::string> owner_word(const std::string& owner) {
  if (owner.empty()) return std::string("-");
  const std::size_t colon = std::min(owner.find(':'), owner.size());
  std::string word;
  for (const std::string& part : {owner.substr(0, colon), owner.substr(std::min(colon + 1, owner.size()))}) {
    if (!word.empty() && colon == owner.size()) break;  // there is no group
    const bool is_printable = std::all_of(part.begin(), part.end(), [](char c) { return c > ' ' && c < 0x7F; });
    if (part.empty() || part.size() > guest_protocol::kMaxOwnerName || !is_printable ||
        part.find_first_of(":#") != std::string::npos || part.front() == '-')
      return Error(ErrorCode::invalid_argument, "owner " + quoted(owner) + " is none")
          .with_slug("invalid_request")
          .with_hint("an owner is USER or USER:GROUP, each a name or a number: \"user\", \"1000:1000\"");
    word += (word.empty() ? "" : ":") + std::string(is_number(part) ? "#" : "") + part;
  }
  return word;
}

// Sets the limit in force; returns it as the program wants it.
std::string limit_text(std::uint64_t& limit) {
  limit = std::clamp<std::uint64_t>(limit, 1, kMaxFilePage);
  return std::to_string(limit);
}

Error something_else() {
  return Error(ErrorCode::unavailable, "the sandbox answered something else").with_slug("file_operation_lost");
}

Result<FileInfo> only(std::vector<FileInfo> entries) {
  if (!entries.empty()) return std::move(entries.front());
  return Error(ErrorCode::unavailable, "the sandbox did not say what it did").with_slug("file_operation_lost");
}

}  // namespace

Result<std::string> absolute_path(const std::string& workdir, const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) return malformed_path(path);
  std::string whole = path.front() == '/' ? path : workdir + "/" + path;
  if (whole.size() > guest_protocol::kMaxFilePath) return malformed_path(path);
  std::string clean;
  for (std::size_t at = 0; at < whole.size();) {  // "a//b/./c" is "a/b/c"; ".." is the sandbox's to follow
    const std::size_t end = std::min(whole.find('/', at), whole.size());
    const std::string_view part = std::string_view(whole).substr(at, end - at);
    if (!part.empty() && part != ".") clean += "/" + std::string(part);
    at = end + 1;
  }
  return clean.empty() ? "/" : clean;
}

// An operation, counted as long as it lives.
struct SandboxFiles::Running {
  // `c` is of the SandboxFiles, which outlives it.
  Running(Counts& c, std::string o, std::string s) : counts(c), owner(std::move(o)), sandbox(std::move(s)) {
    ++counts.of_owner[owner];
    ++counts.of_sandbox[sandbox];
    ++counts.total;
  }
  ~Running() {
    --counts.total;
    if (--counts.of_owner[owner] == 0) counts.of_owner.erase(owner);
    if (--counts.of_sandbox[sandbox] == 0) counts.of_sandbox.erase(sandbox);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  Counts& counts;
  std::string owner;
  std::string sandbox;
  Life::Use use;  // but a watch, which waits for what others do
  std::unique_ptr<FileOperation> operation;
};

bool SandboxFiles::Counts::has_room(const std::string& owner, const std::string& sandbox) const {
  const auto count = [](const auto& map, const std::string& key) {
    const auto found = map.find(key);
    return found == map.end() ? 0 : found->second;
  };
  return total < kMaxOperations && count(of_owner, owner) < kMaxOfOwner && count(of_sandbox, sandbox) < kMaxOfSandbox;
}

io::Task<std::unique_ptr<SandboxFiles::Running>> SandboxFiles::start(Principal who, FilePlace at, std::string what,
                                                                     Words words, Input input,
                                                                     std::size_t second_path) {
  LMSB_CO_TRY(auto home, lookup_(who, at.sandbox));
  if (second_path > 0) {
    LMSB_CO_TRY(words[second_path], absolute_path(home.workdir, words[second_path]));
  }
  LMSB_CO_TRY(std::string path, absolute_path(home.workdir, at.path));
  const bool is_watch = words.front() == "watch";
  words.insert(words.begin() + 1, std::move(path));
  Counts& counts = is_watch ? watching_ : running_;
  const std::string sandbox = home.sandbox->id();
  if (!counts.has_room(who.name, sandbox))
    co_return Error(ErrorCode::resource_exhausted, "too many file operations run already")
        .with_slug("too_many_file_operations")
        .with_hint("wait for some of them: 32 run at once in a sandbox, 128 of one owner, 256 in all");
  auto running = std::make_unique<Running>(counts, who.name, sandbox);
  if (!is_watch) running->use = std::move(home.use);
  LMSB_CO_TRY(running->operation,
              co_await FileOperation::start(loop_, std::move(home.sandbox), std::move(what), std::move(words), input));
  co_return std::move(running);
}

io::Task<FileStat> SandboxFiles::stat(Principal who, FilePlace at) {
  Words words = {"stat"};
  LMSB_CO_TRY(const auto running,
              co_await start(std::move(who), std::move(at), "look at", std::move(words), Input::none));
  std::vector<FileInfo> entries;
  FileOperation::Sinks sinks;
  sinks.entries = &entries;
  LMSB_CO_CHECK(co_await running->operation->finish(sinks, kQuick));
  FileStat result;
  if (entries.size() > 1) result.target = std::move(entries[1]);
  LMSB_CO_TRY(result.info, only(std::move(entries)));
  co_return result;
}

namespace {

// Data up to `done`. `skipped`: where what is left out goes, of what may leave something out; outlives the task.
io::Task<std::string> next_data(FileOperation& operation, Skipped* skipped = nullptr) {
  for (;;) {
    LMSB_CO_TRY(auto record, co_await operation.next(io::Deadline::in(kPiece)));
    if (auto* data = std::get_if<FileData>(&record); data != nullptr && !data->octets.empty())
      co_return std::move(data->octets);
    if (const auto* done = std::get_if<FileDone>(&record)) {
      if (skipped != nullptr) skipped->count = done->skipped;
      co_return std::string();
    }
    auto* left_out = std::get_if<SkippedFile>(&record);
    if (left_out == nullptr || skipped == nullptr) co_return something_else();
    skipped->octets += left_out->path.size() + 1;
    if (skipped->octets > guest_protocol::kMaxSkippedRecords) co_return something_else();
    skipped->files.push_back(std::move(*left_out));
  }
}

}  // namespace

io::Task<std::unique_ptr<FileContent>> SandboxFiles::open(Principal who, FilePlace at) {
  class Content final : public FileContent {
   public:
    Content(std::unique_ptr<Running> running, FileInfo info) : running_(std::move(running)), info_(std::move(info)) {}
    const FileInfo& info() const override { return info_; }
    io::Task<void> select(std::uint64_t offset, std::uint64_t length) override {
      left_ = length;
      const guest_protocol::ReadOrder order{offset, length};
      std::string octets(reinterpret_cast<const char*>(&order), sizeof order);
      co_return co_await running_->operation->send(std::move(octets));
    }
    // Exactly what was selected, whatever the sandbox would like to add.
    io::Task<std::string> read() override {
      if (left_ == 0) co_return std::string();
      LMSB_CO_TRY(std::string octets, co_await next_data(*running_->operation));
      if (octets.empty()) co_return another_number();
      LMSB_CO_CHECK(count(octets.size()));
      co_return octets;
    }
    io::Task<http::BodyPiece> pass(std::shared_ptr<io::PipeRelay> relay) override {
      http::BodyPiece piece;
      if (left_ == 0) co_return piece;
      LMSB_CO_CHECK(co_await running_->operation->relay_data(relay, io::Deadline::in(kPiece)));
      if (relay->held() == 0) {  // what it is instead
        LMSB_CO_TRY(piece.octets, co_await read());
        co_return piece;
      }
      LMSB_CO_CHECK(count(relay->held()));
      piece.relay = std::move(relay);
      co_return piece;
    }

   private:
    static Error another_number() {
      return Error(ErrorCode::unavailable, "the sandbox sent another number of octets than it said")
          .with_slug("file_operation_lost");
    }
    Status count(std::size_t octets) {
      if (octets > left_) return another_number();
      left_ -= octets;
      return {};
    }

    std::unique_ptr<Running> running_;
    FileInfo info_;
    std::uint64_t left_ = 0;
  };
  Words words = {"read"};
  LMSB_CO_TRY(auto running, co_await start(std::move(who), std::move(at), "read", std::move(words), Input::pipe));
  LMSB_CO_TRY(auto record, co_await running->operation->next(io::Deadline::in(kQuick)));
  auto* info = std::get_if<FileInfo>(&record);
  if (info == nullptr) co_return something_else();
  std::unique_ptr<FileContent> content = std::make_unique<Content>(std::move(running), std::move(*info));
  co_return std::move(content);
}

io::Task<FileInfo> SandboxFiles::write(Principal who, WriteFile request, std::shared_ptr<http::BodyReader> body) {
  if (request.at.path.ends_with('/') || request.at.path.ends_with("/."))
    co_return Error(ErrorCode::invalid_argument, "the path is that of a directory: " + quoted(request.at.path))
        .with_slug("invalid_path")
        .with_hint("name the file, too; files/mkdir makes a directory");
  const std::string path = request.at.path;
  const char* const how = request.how == WriteFile::How::append   ? "append"
                          : request.how == WriteFile::How::create ? "create"
                                                                  : "replace";
  Words words = {"write", how, request.mode ? octal_mode(*request.mode) : "-"};
  if (!request.owner.empty() || request.condition.kind != FileCondition::Kind::none) {
    LMSB_CO_TRY(std::string owner, owner_word(request.owner));
    words.push_back(std::move(owner));
    words.push_back(condition_word(request.condition));
  }
  LMSB_CO_TRY(const auto running,
              co_await start(std::move(who), std::move(request.at), "write", std::move(words), Input::pipe));
  LMSB_CO_CHECK(co_await running->operation->send_body(*body));
  std::vector<FileInfo> entries;
  FileOperation::Sinks sinks;
  sinks.entries = &entries;
  auto done = co_await running->operation->finish(sinks, kQuick);
  if (done.ok()) co_return only(std::move(entries));
  // The directory is not there either: what was asked for is a file that is.
  const bool is_of_condition =
      request.condition.kind == FileCondition::Kind::is_one_of && done.error().slug() == "file_not_found";
  if (is_of_condition) co_return running->operation->error_of({path, guest_protocol::kConditionFailed});
  co_return std::move(done).error();
}

io::Task<FilePage> SandboxFiles::page(std::unique_ptr<Running> running, std::uint64_t limit) {
  FilePage result;
  FileOperation::Sinks sinks;
  sinks.limit = limit;
  sinks.entries = &result.data;
  sinks.skipped = &result.skipped;
  LMSB_CO_TRY(const auto done, co_await running->operation->finish(sinks, kWhole));
  result.is_truncated = done.is_truncated;
  if (!done.cursor.empty()) result.next_cursor = done.cursor;
  co_return result;
}

io::Task<FilePage> SandboxFiles::list(Principal who, ListFiles request) {
  if (request.cursor.find('\0') != std::string::npos || request.cursor.size() > guest_protocol::kMaxFilePath)
    co_return Error(ErrorCode::invalid_argument, "cursor is not one that a page gave")
        .with_slug("invalid_request")
        .with_hint("send next_cursor of the page before as it came, or no cursor for the first page");
  Words words = {"list", std::to_string(std::max<std::uint64_t>(1, request.depth)), limit_text(request.limit),
                 request.cursor};
  LMSB_CO_TRY(auto running,
              co_await start(std::move(who), std::move(request.at), "list", std::move(words), Input::none));
  co_return co_await page(std::move(running), request.limit);
}

io::Task<FilePage> SandboxFiles::glob(Principal who, GlobFiles request) {
  LMSB_CO_CHECK(check_pattern(request.pattern, "pattern", "** finds all files"));
  Words words = {"glob", request.pattern, limit_text(request.limit)};
  LMSB_CO_TRY(auto running,
              co_await start(std::move(who), std::move(request.at), "search", std::move(words), Input::none));
  LMSB_CO_TRY(auto result, co_await page(std::move(running), request.limit));
  result.next_cursor.reset();
  co_return result;
}

io::Task<FileInfo> SandboxFiles::make_directory(Principal who, MakeDirectory request) {
  Words words = {"mkdir", octal_mode(request.mode), flag(request.parents)};
  if (!request.owner.empty()) {
    LMSB_CO_TRY(std::string owner, owner_word(request.owner));
    words.push_back(std::move(owner));
  }
  LMSB_CO_TRY(const auto running,
              co_await start(std::move(who), std::move(request.at), "make directory", std::move(words), Input::none));
  std::vector<FileInfo> entries;
  FileOperation::Sinks sinks;
  sinks.entries = &entries;
  LMSB_CO_CHECK(co_await running->operation->finish(sinks, kQuick));
  co_return only(std::move(entries));
}

io::Task<MovedFile> SandboxFiles::moved(Principal who, MoveFile request, std::string what, std::string operation) {
  Words words = {std::move(operation), request.to, flag(request.overwrite)};
  LMSB_CO_TRY(const auto running,
              co_await start(std::move(who), std::move(request.at), std::move(what), std::move(words), Input::none, 1));
  MovedFile result;
  std::vector<FileInfo> entries;
  FileOperation::Sinks sinks;
  sinks.entries = &entries;
  sinks.skipped = &result.skipped;
  LMSB_CO_TRY(const auto done, co_await running->operation->finish(sinks, kWhole));
  result.files = done.count;
  result.bytes = done.bytes;
  LMSB_CO_TRY(result.info, only(std::move(entries)));
  co_return result;
}

io::Task<MovedFile> SandboxFiles::move(Principal who, MoveFile request) {
  return moved(std::move(who), std::move(request), "move", "move");
}

io::Task<MovedFile> SandboxFiles::copy(Principal who, MoveFile request) {
  return moved(std::move(who), std::move(request), "copy", "copy");
}

io::Task<std::uint64_t> SandboxFiles::remove(Principal who, RemoveFile request) {
  Words words = {"remove", flag(request.recursive)};
  if (request.condition.kind != FileCondition::Kind::none) words.push_back(condition_word(request.condition));
  LMSB_CO_TRY(const auto running,
              co_await start(std::move(who), std::move(request.at), "remove", std::move(words), Input::none));
  FileOperation::Sinks sinks;
  LMSB_CO_TRY(const auto done, co_await running->operation->finish(sinks, kWhole));
  co_return done.count;
}

io::Task<std::uint64_t> SandboxFiles::change_mode(Principal who, ChangeMode request) {
  Words words = {"chmod", request.mode ? octal_mode(*request.mode) : "-", flag(request.recursive)};
  if (!request.owner.empty()) {
    LMSB_CO_TRY(std::string owner, owner_word(request.owner));
    words.push_back(std::move(owner));
  }
  LMSB_CO_TRY(const auto running,
              co_await start(std::move(who), std::move(request.at), "change", std::move(words), Input::none));
  FileOperation::Sinks sinks;
  LMSB_CO_TRY(const auto done, co_await running->operation->finish(sinks, kWhole));
  co_return done.count;
}

io::Task<GrepResult> SandboxFiles::grep(Principal who, GrepFiles request) {
  LMSB_CO_CHECK(check_pattern(request.pattern, "pattern", "say what lines have in them; with regex=true . is in each"));
  LMSB_CO_CHECK(check_text(request.names, kMaxPattern, "names"));
  Words words = {"grep",
                 request.pattern,
                 request.is_regex ? "regex" : "fixed",
                 request.ignores_case ? "any" : "exact",
                 request.names,
                 limit_text(request.limit)};
  LMSB_CO_TRY(const auto running,
              co_await start(std::move(who), std::move(request.at), "search", std::move(words), Input::none));
  GrepResult result;
  FileOperation::Sinks sinks;
  sinks.limit = request.limit;
  sinks.matches = &result.matches;
  sinks.skipped = &result.skipped;
  LMSB_CO_TRY(const auto done, co_await running->operation->finish(sinks, kWhole));
  result.files = done.count;
  result.is_truncated = done.is_truncated;
  co_return result;
}

io::Task<ReplaceResult> SandboxFiles::replace(Principal who, ReplaceInFiles request) {
  if (request.old_text.empty())
    co_return Error(ErrorCode::invalid_argument, "old is empty")
        .with_slug("invalid_request")
        .with_hint("old is the text that is to be replaced");
  LMSB_CO_CHECK(check_text(request.old_text, kMaxReplaced, "old"));
  LMSB_CO_CHECK(check_text(request.new_text, kMaxReplaced, "new"));
  LMSB_CO_CHECK(check_text(request.names, kMaxPattern, "names"));
  Words words = {"replace", request.old_text, request.new_text, request.names, limit_text(request.limit)};
  LMSB_CO_TRY(const auto running,
              co_await start(std::move(who), std::move(request.at), "replace in", std::move(words), Input::none));
  ReplaceResult result;
  FileOperation::Sinks sinks;
  sinks.limit = request.limit;
  sinks.changed = &result.files;
  sinks.skipped = &result.skipped;
  LMSB_CO_TRY(const auto done, co_await running->operation->finish(sinks, kWhole));
  result.replacements = done.count;
  result.is_truncated = done.is_truncated;
  co_return result;
}

io::Task<std::unique_ptr<FileStream>> SandboxFiles::pack(Principal who, PackFiles request) {
  // The first piece is read before there is an answer, so that what cannot begin is a proper error.
  class Archive final : public FileStream {
   public:
    Archive(std::unique_ptr<Running> running, std::unique_ptr<Skipped> skipped, std::string first)
        : running_(std::move(running)), skipped_(std::move(skipped)), first_(std::move(first)) {}
    io::Task<std::string> read() override {
      if (!first_.empty()) co_return std::exchange(first_, {});
      co_return co_await next_data(*running_->operation, skipped_.get());
    }
    Skipped skipped() const override { return *skipped_; }

   private:
    std::unique_ptr<Running> running_;
    std::unique_ptr<Skipped> skipped_;
    std::string first_;
  };
  // A zip archive is compressed in the sandbox, which reads that, too; compressing for Zstandard is too large for its
  // guest, and nothing is parsed for it.
  const bool is_zip = request.format == ArchiveFormat::zip;
  Words words = {"pack", flag(request.skip_unreadable), is_zip ? "zip" : "tar"};
  LMSB_CO_TRY(auto running,
              co_await start(std::move(who), std::move(request.at), "archive", std::move(words), Input::none));
  auto skipped = std::make_unique<Skipped>();
  LMSB_CO_TRY(std::string first, co_await next_data(*running->operation, skipped.get()));
  std::unique_ptr<FileStream> archive =
      std::make_unique<Archive>(std::move(running), std::move(skipped), std::move(first));
  if (request.format == ArchiveFormat::tar_zst) archive = std::make_unique<ZstdStream>(std::move(archive), pool_);
  co_return std::move(archive);
}

io::Task<std::unique_ptr<FileWatch>> SandboxFiles::watch(Principal who, WatchFiles request) {
  class Watch final : public FileWatch {
   public:
    explicit Watch(std::unique_ptr<Running> running) : running_(std::move(running)) {}
    io::Task<std::optional<FileEvent>> next(io::Deadline deadline) override {
      LMSB_CO_TRY(auto record, co_await running_->operation->next(deadline));
      if (auto* event = std::get_if<FileEvent>(&record)) co_return std::optional<FileEvent>(std::move(*event));
      if (std::holds_alternative<FileDone>(record)) co_return std::optional<FileEvent>();
      co_return something_else();
    }

   private:
    std::unique_ptr<Running> running_;
  };
  Words words = {"watch", flag(request.recursive)};
  LMSB_CO_TRY(auto running,
              co_await start(std::move(who), std::move(request.at), "watch", std::move(words), Input::none));
  LMSB_CO_TRY(const auto record, co_await running->operation->next(io::Deadline::in(kWhole)));
  if (!std::holds_alternative<FileArmed>(record)) co_return something_else();
  std::unique_ptr<FileWatch> watch = std::make_unique<Watch>(std::move(running));
  co_return std::move(watch);
}

io::Task<UnpackResult> SandboxFiles::unpack(Principal who, UnpackFiles request,
                                            std::shared_ptr<http::BodyReader> body) {
  Words words = {"unpack", std::string(to_string(request.format))};
  if (!request.owner.empty()) {
    LMSB_CO_TRY(std::string owner, owner_word(request.owner));
    words.push_back(std::move(owner));
  }
  LMSB_CO_TRY(const auto running,
              co_await start(std::move(who), std::move(request.at), "unpack to", std::move(words), Input::pipe));
  LMSB_CO_CHECK(co_await running->operation->send_body(*body));
  UnpackResult result;
  FileOperation::Sinks sinks;
  sinks.skipped = &result.skipped;
  LMSB_CO_TRY(const auto done, co_await running->operation->finish(sinks, kWhole));
  result.files = done.count;
  result.bytes = done.bytes;
  co_return result;
}

}  // namespace lmsb::control
