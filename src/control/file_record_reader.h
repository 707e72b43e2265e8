#pragma once
// FileRecordReader: takes the answer of the program `files` apart (guest_protocol/file_records.h). It comes from a
// sandbox and is hostile: sizes are checked, kinds known, and never more than one record is held. Pure; any thread.
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "control/file_values.h"

namespace lmsb::control {

struct FileData {
  std::string octets;
};
struct FileFailed {
  SkippedFile what;
};
struct FileDone {
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
  std::uint64_t skipped = 0;
  bool is_truncated = false;
  std::string cursor;
};
struct FileArmed {
  std::uint32_t directories = 0;
};
using FileRecord =
    std::variant<FileInfo, FileData, GrepMatch, ReplacedFile, SkippedFile, FileDone, FileFailed, FileArmed, FileEvent>;

class FileRecordReader {
 public:
  void feed(std::string_view octets) { rest_.append(octets); }
  // The next record; nothing: more octets are needed. Error: that is no such answer, and what follows means nothing.
  Result<std::optional<FileRecord>> next();
  // Whether it holds octets of records that are still to come.
  bool has_rest() const { return !rest_.empty(); }

 private:
  std::string rest_;
};

}  // namespace lmsb::control
