#pragma once
// File records: what the program `files` writes to its stdout, and what it reads from its stdin.
//
// argv is the name of an operation and its arguments (guest/file_program.h); paths are absolute. The answer is a stream
// of records, each a RecordHeader and a body of `size` octets: a fixed struct, then the texts whose sizes it names, in
// that order. It ends with exactly one `done` or `failed`; without one the program was killed. Everything in it comes
// from a sandbox: the daemon parses it like network input (control/file_record_reader.h).
#include <cstdint>

namespace lmsb::guest_protocol {

constexpr std::uint32_t kRecordMagic = 0x4C4D4652;
constexpr std::uint32_t kMaxRecordBody = 64 * 1024;
constexpr std::uint32_t kMaxDataBody = 1U << 20U;  // of `data`; others have less
constexpr std::uint32_t kMaxFilePath = 4095;
constexpr std::uint32_t kMaxOwnerName = 255;
constexpr std::uint32_t kMaxShownLine = 4096;            // of a line that grep found
constexpr std::uint64_t kMaxListed = 2U << 20U;          // octets of texts in one answer that is held whole
constexpr std::uint32_t kMaxSkippedRecords = 32 * 1024;  // octets of one answer: never enough to fill the pipe

enum class RecordKind : std::uint32_t {
  entry = 1,  // EntryRecord, path, owner, group, target
  data,       // octets of a file or an archive
  match,      // MatchRecord, path, text
  changed,    // ChangedRecord, path
  skipped,    // ProblemRecord, path: left out, the operation goes on
  done,       // DoneRecord, cursor: the end, all went well
  failed,     // ProblemRecord, path: the end
  armed,      // ArmedRecord: whatever happens from now on has its event
  event,      // EventRecord, path
};

struct RecordHeader {
  std::uint32_t magic;
  RecordKind kind;
  std::uint32_t size;
};

// One file as lstat(2) says it.
struct EntryRecord {
  std::uint64_t size;
  std::uint64_t inode;
  std::int64_t mtime_s;
  std::int64_t ctime_s;
  std::int64_t now_s;  // when it was looked at
  std::uint32_t mtime_ns;
  std::uint32_t ctime_ns;
  std::uint32_t mode;  // with the type, as st_mode
  std::uint32_t uid;   // inside
  std::uint32_t gid;
  std::uint32_t links;
  std::uint32_t path_size;
  std::uint32_t owner_size;  // 0: /etc/passwd of the sandbox has no name for it
  std::uint32_t group_size;
  std::uint32_t target_size;  // of a symbolic link
};

struct MatchRecord {
  std::uint64_t line;  // from 1
  std::uint32_t path_size;
  std::uint32_t text_size;
  std::uint32_t is_cut;  // 1: the line is longer than what is shown
  std::uint32_t reserved;
};

struct ChangedRecord {
  std::uint64_t replacements;
  std::uint32_t path_size;
  std::uint32_t reserved;
};

// What is no errno.
constexpr std::int32_t kUnknownOwner = 1001;     // /etc/passwd or /etc/group of the sandbox has no such name: the path
constexpr std::int32_t kOwnerNotAllowed = 1002;  // who runs the operation may not give files away
constexpr std::int32_t kConditionFailed = 1003;
constexpr std::int32_t kPartLeft = 1 << 16;  // beside another: a part of what was to be made or moved is there

struct ProblemRecord {
  std::int32_t error;  // errno, or one of those
  std::uint32_t path_size;
};

struct ArmedRecord {
  std::uint32_t directories;  // that are watched
  std::uint32_t reserved;
};

enum class WatchKind : std::uint32_t {
  created = 1,  // or moved here
  written,
  removed,
  renamed,  // moved away
  changed,  // permissions, owner, times
  lost,     // more happened than could be told: look for yourself
};

struct EventRecord {
  WatchKind kind;
  std::uint32_t is_directory;
  std::uint32_t path_size;
  std::uint32_t reserved;
};

struct DoneRecord {
  std::uint64_t count;  // of what the operation counts: files written, removed, searched
  std::uint64_t bytes;
  std::uint64_t skipped;       // of all that was left out; not all of it has a record
  std::uint32_t is_truncated;  // 1: a bound was met, there is more
  std::uint32_t cursor_size;   // of list: where the next page begins; 0 = this was the last
};

// stdin of operations that take data: chunks, each a size and so many octets (64 KiB at most). Size 0 is the end; a
// stream that ends without it was cut off, and nothing of it is kept.
struct ChunkHeader {
  std::uint32_t size;
};
constexpr std::uint32_t kMaxChunk = 64 * 1024;

// stdin of `read`, once its entry record has been seen. The end of stdin instead: nothing is wanted.
struct ReadOrder {
  std::uint64_t offset;
  std::uint64_t length;
};

}  // namespace lmsb::guest_protocol
