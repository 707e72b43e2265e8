#pragma once
// What the file API asks for and answers: plain values. Paths are octets, as Linux has them; an absolute one, or one
// relative to the sandbox's working directory. Structs that are passed to coroutines have constructors.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lmsb::control {

enum class FileType : std::uint8_t { file, directory, symlink, fifo, socket, character_device, block_device, unknown };
std::string_view to_string(FileType type);

struct FileTime {
  std::int64_t seconds = 0;  // since 1970
  std::uint32_t nanoseconds = 0;
};

struct FileInfo {
  std::string path;  // absolute
  FileType type = FileType::unknown;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;  // permission bits, 07777
  std::uint32_t uid = 0;   // inside
  std::uint32_t gid = 0;
  std::string owner;  // "" = the sandbox's /etc/passwd has no name for it
  std::string group;
  std::uint32_t links = 0;
  FileTime modified;
  FileTime changed;          // of the inode: no program can set it
  std::int64_t seen_at = 0;  // seconds since 1970, by the sandbox's clock
  std::uint64_t inode = 0;
  std::string target;  // of a symbolic link
};

// An entity tag for If-None-Match and If-Range, with its quotes. Weak (`W/`) while the file was changed less than two
// seconds before it was looked at: a further change may then not show in its times.
std::string etag_of(const FileInfo& info);

// What must be true of a file for it to be changed: it is one of those that these entity tags are of, or none of them.
// Of a weak tag counts what it says of the file, and not when: whatever the file API does to a file makes another one
// of it, and what programs do within one tick of the kernel's clock no tag can tell.
struct FileCondition {
  enum class Kind : std::uint8_t { none, is_one_of, is_none_of };
  Kind kind = Kind::none;
  bool is_any = false;            // "*": whatever is there
  std::vector<std::string> tags;  // with quotes
};
// Whether a file that is there meets it.
bool meets(const FileCondition& condition, const FileInfo& info);
// As the guest takes it (guest/file_condition.h); "-" for none.
std::string condition_word(const FileCondition& condition);

// Permissions as people write them: "0644".
std::string octal_mode(std::uint32_t mode);

// What was left out, and why.
struct SkippedFile {
  std::string path;
  int error = 0;  // errno
};
struct Skipped {
  std::vector<SkippedFile> files;  // the first of them
  std::uint64_t count = 0;         // of all
  std::uint64_t octets = 0;        // of the paths of `files`
};

struct FilePlace {
  FilePlace() = default;
  FilePlace(std::string s, std::string p) : sandbox(std::move(s)), path(std::move(p)) {}
  std::string sandbox;  // id, prefix or name
  std::string path;
};

struct FileStat {
  FileInfo info;
  std::optional<FileInfo> target;  // what a symbolic link leads to, if there is something
};

struct WriteFile {
  enum class How : std::uint8_t {
    replace,  // all or nothing: the old file stays until the new one is whole
    create,   // the same; an error when there is something
    append,
  };
  WriteFile() = default;
  FilePlace at;
  How how = How::replace;
  std::optional<std::uint32_t> mode;  // nothing = of the file that is replaced, else 0644
  // USER or USER:GROUP, each a name of the sandbox's own files or a number. "" = of the file that is replaced, where
  // who writes may give it to them; else who writes. Directories that are made are theirs, too.
  std::string owner;
  FileCondition condition;
};

constexpr std::uint64_t kMaxFilePage = 10'000;

struct ListFiles {
  ListFiles() = default;
  FilePlace at;
  std::uint64_t depth = 1;  // 1 = the directory itself
  std::uint64_t limit = 1000;
  std::string cursor;
};

struct GlobFiles {
  GlobFiles() = default;
  FilePlace at;
  std::string pattern;
  std::uint64_t limit = 1000;
};

struct FilePage {
  std::vector<FileInfo> data;
  std::optional<std::string> next_cursor;
  bool is_truncated = false;
  Skipped skipped;
};

struct MakeDirectory {
  MakeDirectory() = default;
  FilePlace at;
  std::uint32_t mode = 0755;
  bool parents = true;  // also what is missing above it; it may be there already
  std::string owner;    // as of WriteFile; one that is there keeps its own
};

struct MoveFile {
  MoveFile() = default;
  FilePlace at;
  std::string to;
  bool overwrite = false;
};

struct MovedFile {
  FileInfo info;  // where it is now
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  Skipped skipped;
};

struct RemoveFile {
  RemoveFile() = default;
  FilePlace at;
  bool recursive = false;
  FileCondition condition;
};

struct ChangeMode {
  ChangeMode() = default;
  FilePlace at;
  std::optional<std::uint32_t> mode;  // nothing = what it is; not of links
  std::string owner;                  // as of WriteFile; "" = who it is; of links, too
  bool recursive = false;
};

struct GrepFiles {
  GrepFiles() = default;
  FilePlace at;
  std::string pattern;
  bool is_regex = false;
  bool ignores_case = false;
  std::string names;  // a pattern for names of files; "" = all
  std::uint64_t limit = 1000;
};

struct GrepMatch {
  std::string path;
  std::uint64_t line = 0;  // from 1
  std::string text;
  bool is_cut = false;
};

struct GrepResult {
  std::vector<GrepMatch> matches;
  std::uint64_t files = 0;  // that were looked at
  bool is_truncated = false;
  Skipped skipped;
};

struct ReplaceInFiles {
  ReplaceInFiles() = default;
  FilePlace at;
  std::string old_text;
  std::string new_text;
  std::string names;
  std::uint64_t limit = 1000;  // files
};

struct ReplacedFile {
  std::string path;
  std::uint64_t replacements = 0;
};

struct ReplaceResult {
  std::vector<ReplacedFile> files;
  std::uint64_t replacements = 0;
  bool is_truncated = false;
  Skipped skipped;
};

struct WatchFiles {
  WatchFiles() = default;
  FilePlace at;           // a directory
  bool recursive = true;  // what is below it, too; symbolic links are not followed
};
// Something that happened to `path`. Of what is in a new directory an event may come twice.
struct FileEvent {
  enum class Kind : std::uint8_t {
    created,  // or moved here
    written,
    removed,
    renamed,  // moved away; where to, if that is watched, is `created`
    changed,  // permissions, owner, times
    lost,     // more happened than could be told
  };
  Kind kind = Kind::lost;
  std::string path;  // absolute
  bool is_directory = false;
};
std::string_view to_string(FileEvent::Kind kind);

enum class ArchiveFormat : std::uint8_t { tar, tar_zst, zip };
std::string_view to_string(ArchiveFormat format);  // "tar.zst"

struct PackFiles {
  PackFiles() = default;
  FilePlace at;
  bool skip_unreadable = false;  // leave out what cannot be read
  ArchiveFormat format = ArchiveFormat::tar;
};

struct UnpackFiles {
  UnpackFiles() = default;
  FilePlace at;
  ArchiveFormat format = ArchiveFormat::tar;
  std::string owner;  // as of WriteFile, of all that is made; "" = who unpacks
};

struct UnpackResult {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  Skipped skipped;
};

}  // namespace lmsb::control
