#include "control/file_values.h"

#include <algorithm>

#include <fmt/format.h>

namespace lmsb::control {
namespace {

constexpr std::int64_t kSettled = 2;  // seconds; the coarsest clock of a file system is one

// What an entity tag says of the file.
std::string state_of(const FileInfo& info) {
  return fmt::format("{:x}-{:x}-{:x}.{:x}", info.inode, info.size, info.changed.seconds, info.changed.nanoseconds);
}

// The same of a tag as it was sent: without quotes, and without the time at which a weak one was made. "" of a tag that
// is none of ours.
std::string_view state_in(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  if (tag.size() < 2 || tag.front() != '"' || tag.back() != '"') return {};
  tag = tag.substr(1, tag.size() - 2);
  if (tag.find_first_not_of("0123456789abcdef-.") != std::string_view::npos) return {};
  if (std::count(tag.begin(), tag.end(), '-') == 3) tag = tag.substr(0, tag.rfind('-'));
  return tag;
}

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
  const std::string tag = state_of(info);
  return is_settled ? "\"" + tag + "\"" : fmt::format("W/\"{}-{:x}\"", tag, info.seen_at);
}

bool meets(const FileCondition& condition, const FileInfo& info) {
  if (condition.kind == FileCondition::Kind::none) return true;
  const auto is_of_it = [state = state_of(info)](const std::string& tag) { return state_in(tag) == state; };
  const bool is_one = condition.is_any || std::any_of(condition.tags.begin(), condition.tags.end(), is_of_it);
  return is_one == (condition.kind == FileCondition::Kind::is_one_of);
}

std::string condition_word(const FileCondition& condition) {
  if (condition.kind == FileCondition::Kind::none) return "-";
  std::string word = condition.kind == FileCondition::Kind::is_one_of ? "=" : "!";
  if (condition.is_any) return word + "*";
  for (const std::string& tag : condition.tags)
    if (const std::string_view state = state_in(tag); !state.empty()) word += std::string(state) + ",";
  return word;
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
