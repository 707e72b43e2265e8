#pragma once
// AuditLog: one file of lines that only grows, and earlier ones beside it, as long as they are to be kept: PATH,
// PATH.1, PATH.2 and so on, the newest first. One thread; a line is one write(2), and takes as long as that.
#include <cstdint>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "base/units.h"

namespace lmsb::control {

struct AuditRetention {
  static constexpr std::uint32_t kMostFiles = 1000;
  Bytes size = Bytes::MiB(64);  // of a file: then a new one begins
  std::uint32_t files = 1;      // earlier ones, kMostFiles at most
  // Since an earlier one was last written to; then it goes, when a file begins or a daemon does. Not 0, which is never:
  // a file begins each day.
  std::uint32_t days = 0;
};

class AuditLog {
 public:
  // `path` "" = none: nothing is ever written. Removes what is not to be kept any more. `log` outlives it.
  AuditLog(std::string path, AuditRetention retention, Logger& log);
  // Appends `line`, or several, the last of which ends in a line break; to the present file where no new one can begin.
  // What fails the log says once, until it works again.
  void write(const std::string& line);
  bool is_kept() const { return !path_.empty(); }

 private:
  Status append(const std::string& line);
  Status open();
  bool is_full() const;
  Status put_away();
  void remove_old() const;
  std::string earlier(std::uint32_t number) const { return path_ + "." + std::to_string(number); }

  const std::string path_;
  const AuditRetention retention_;
  Logger& log_;
  UniqueFd file_;
  std::uint64_t size_ = 0;
  std::int64_t written_ = 0;  // seconds since 1970, of the last line
  bool has_complained_ = false;
};

}  // namespace lmsb::control
