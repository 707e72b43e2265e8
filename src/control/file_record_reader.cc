#include "control/file_record_reader.h"

#include <cstring>
#include <sys/stat.h>

#include "guest_protocol/file_records.h"

namespace lmsb::control {
namespace {

using guest_protocol::RecordHeader;
using guest_protocol::RecordKind;

Error malformed() {
  return Error(ErrorCode::unavailable, "the sandbox answered what no file operation answers")
      .with_slug("file_operation_lost");
}

// A record's body, taken apart front to back. What does not fit makes it bad.
class Body {
 public:
  explicit Body(std::string_view octets) : rest_(octets) {}

  template <class Fixed>
  Fixed fixed() {
    Fixed value{};
    const std::string_view octets = take(sizeof value);
    if (octets.size() == sizeof value) std::memcpy(&value, octets.data(), sizeof value);
    return value;
  }
  std::string text(std::uint32_t size, std::uint32_t most = guest_protocol::kMaxFilePath) {
    if (size > most) is_bad_ = true;
    return std::string(take(is_bad_ ? 0 : size));
  }
  bool is_whole() const { return !is_bad_ && rest_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) is_bad_ = true;
    if (is_bad_) return {};
    const std::string_view octets = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return octets;
  }

  std::string_view rest_;
  bool is_bad_ = false;
};

FileType type_of(std::uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return FileType::file;
    case S_IFDIR: return FileType::directory;
    case S_IFLNK: return FileType::symlink;
    case S_IFIFO: return FileType::fifo;
    case S_IFSOCK: return FileType::socket;
    case S_IFCHR: return FileType::character_device;
    case S_IFBLK: return FileType::block_device;
    default: return FileType::unknown;
  }
}

FileInfo read_entry(Body& body) {
  const auto record = body.fixed<guest_protocol::EntryRecord>();
  FileInfo info;
  info.type = type_of(record.mode);
  info.size = record.size;
  info.mode = record.mode & 07777U;
  info.uid = record.uid;
  info.gid = record.gid;
  info.links = record.links;
  info.inode = record.inode;
  info.modified = {record.mtime_s, record.mtime_ns % 1'000'000'000U};
  info.changed = {record.ctime_s, record.ctime_ns % 1'000'000'000U};
  info.seen_at = record.now_s;
  info.path = body.text(record.path_size);
  info.owner = body.text(record.owner_size, guest_protocol::kMaxOwnerName);
  info.group = body.text(record.group_size, guest_protocol::kMaxOwnerName);
  info.target = body.text(record.target_size);
  return info;
}

SkippedFile read_problem(Body& body) {
  const auto record = body.fixed<guest_protocol::ProblemRecord>();
  return {body.text(record.path_size), record.error};
}

std::optional<FileRecord> read_event(Body& body) {
  using Kind = guest_protocol::WatchKind;
  const auto record = body.fixed<guest_protocol::EventRecord>();
  FileEvent event;
  event.is_directory = record.is_directory != 0;
  event.path = body.text(record.path_size);
  switch (record.kind) {
    case Kind::created: return event.kind = FileEvent::Kind::created, event;
    case Kind::written: return event.kind = FileEvent::Kind::written, event;
    case Kind::removed: return event.kind = FileEvent::Kind::removed, event;
    case Kind::renamed: return event.kind = FileEvent::Kind::renamed, event;
    case Kind::changed: return event.kind = FileEvent::Kind::changed, event;
    case Kind::lost: return event.kind = FileEvent::Kind::lost, event;
  }
  return std::nullopt;
}

std::optional<FileRecord> read_record(RecordKind kind, Body& body) {
  switch (kind) {
    case RecordKind::entry: return read_entry(body);
    case RecordKind::match: {
      const auto record = body.fixed<guest_protocol::MatchRecord>();
      GrepMatch match;
      match.line = record.line;
      match.path = body.text(record.path_size);
      match.text = body.text(record.text_size, guest_protocol::kMaxShownLine);
      match.is_cut = record.is_cut != 0;
      return match;
    }
    case RecordKind::changed: {
      const auto record = body.fixed<guest_protocol::ChangedRecord>();
      return ReplacedFile{body.text(record.path_size), record.replacements};
    }
    case RecordKind::skipped: return read_problem(body);
    case RecordKind::failed: return FileFailed{read_problem(body)};
    case RecordKind::done: {
      const auto record = body.fixed<guest_protocol::DoneRecord>();
      return FileDone{record.count, record.bytes, record.skipped, record.is_truncated != 0,
                      body.text(record.cursor_size)};
    }
    case RecordKind::armed: return FileArmed{body.fixed<guest_protocol::ArmedRecord>().directories};
    case RecordKind::event: return read_event(body);
    case RecordKind::data: break;
  }
  return std::nullopt;
}

}  // namespace

Result<std::optional<FileRecord>> FileRecordReader::next() {
  RecordHeader header{};
  if (rest_.size() < sizeof header) return std::optional<FileRecord>();
  std::memcpy(&header, rest_.data(), sizeof header);
  const auto most = header.kind == RecordKind::data ? guest_protocol::kMaxDataBody : guest_protocol::kMaxRecordBody;
  if (header.magic != guest_protocol::kRecordMagic || header.size > most) return malformed();
  if (rest_.size() < sizeof header + header.size) return std::optional<FileRecord>();
  Body body(std::string_view(rest_).substr(sizeof header, header.size));
  std::optional<FileRecord> record;
  if (header.kind == RecordKind::data) {
    record = FileData{rest_.substr(sizeof header, header.size)};
  } else {
    record = read_record(header.kind, body);
    if (!record || !body.is_whole()) return malformed();
  }
  rest_.erase(0, sizeof header + header.size);
  return record;
}

}  // namespace lmsb::control
