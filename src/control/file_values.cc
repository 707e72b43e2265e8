#include "control/file_values.h"

#include <fmt/format.h>

namespace lmsb::control {
namespace {

constexpr std::int64_t kSettled = 2;  // seconds; the coarsest clock of a file system is one

}  // namespace

std::string_view to_string(FileType type) {
  switch (type) {
    case FileType::file: return "file";
    case FileType::directory: return "directory";
    case FileType::symlink: return "symlink";
    case FileType::fifo: return "fifo";
    case FileType::socket: return "socket";
    case FileType::character_device: return "character_device";
    case FileType::block_device: return "block_device";
    case FileType::unknown: return "unknown";
  }
  return "unknown";
}

std::string_view to_string(ArchiveFormat format) {
  switch (format) {
    case ArchiveFormat::tar: return "tar";
    case ArchiveFormat::tar_zst: return "tar.zst";
    case ArchiveFormat::zip: return "zip";
  }
  return "tar";
}

std::string etag_of(const FileInfo& info) {
  std::int64_t age = 0;
  const bool is_settled =
      !__builtin_sub_overflow(info.seen_at, info.changed.seconds, &age) && age >= kSettled;  // both are the sandbox's
  const std::string tag =
      fmt::format("{:x}-{:x}-{:x}.{:x}", info.inode, info.size, info.changed.seconds, info.changed.nanoseconds);
  return is_settled ? "\"" + tag + "\"" : fmt::format("W/\"{}-{:x}\"", tag, info.seen_at);
}

std::string octal_mode(std::uint32_t mode) { return fmt::format("{:04o}", mode & 07777U); }

std::string_view to_string(FileEvent::Kind kind) {
  switch (kind) {
    case FileEvent::Kind::created: return "created";
    case FileEvent::Kind::written: return "written";
    case FileEvent::Kind::removed: return "removed";
    case FileEvent::Kind::renamed: return "renamed";
    case FileEvent::Kind::changed: return "changed";
    case FileEvent::Kind::lost: return "lost";
  }
  return "lost";
}

}  // namespace lmsb::control
