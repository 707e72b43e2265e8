#include "control/audit_log.h"

#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace lmsb::control {
namespace {

constexpr std::int64_t kDay = 86'400;

// Its last line's time; nothing: there is none.
std::optional<std::int64_t> written_at(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) < 0) return std::nullopt;
  return info.st_mtim.tv_sec;
}

}  // namespace

AuditLog::AuditLog(std::string path, AuditRetention retention, Logger& log)
    : path_(std::move(path)), retention_(retention), log_(log) {
  if (path_.empty()) return;
  remove_old();
  // One that nobody has written to for so long is as old as an earlier one.
  const auto written = written_at(path_);
  if (written && retention_.days > 0 && *written < ::time(nullptr) - retention_.days * kDay)
    (void)::unlink(path_.c_str());
}

void AuditLog::write(const std::string& line) {
  if (path_.empty()) return;
  const Status written = append(line);
  if (!written.ok() && !has_complained_)
    log_.log(LogLevel::error, "audit.failed", {{"path", path_}, {"error", written.error().message()}});
  has_complained_ = !written.ok();
}

Status AuditLog::append(const std::string& line) {
  if (!file_) LMSB_CHECK(open());
  Status begun;
  if (is_full()) begun = put_away();
  if (!file_) LMSB_CHECK(open());
  const ssize_t size = ::write(file_.get(), line.data(), line.size());
  const int error = size < 0 ? errno : ENOSPC;
  if (size == static_cast<ssize_t>(line.size())) {
    size_ += line.size();
    written_ = ::time(nullptr);
    return begun;
  }
  if (size > 0) (void)!::ftruncate(file_.get(), static_cast<off_t>(size_));  // no half a line
  return Error::from_errno(error, "write the audit log");
}

Status AuditLog::open() {
  file_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat info {};
  if (!file_ || ::fstat(file_.get(), &info) < 0) return Error::from_errno(errno, "open the audit log");
  size_ = static_cast<std::uint64_t>(info.st_size);
  written_ = info.st_mtim.tv_sec;
  return {};
}

bool AuditLog::is_full() const {
  const bool is_of_another_day = retention_.days > 0 && size_ > 0 && written_ / kDay != ::time(nullptr) / kDay;
  return size_ >= retention_.size.count() || is_of_another_day;
}

Status AuditLog::put_away() {
  file_.reset();
  for (std::uint32_t number = retention_.files; number > 1; --number)
    if (::rename(earlier(number - 1).c_str(), earlier(number).c_str()) < 0 && errno != ENOENT)
      return Error::from_errno(errno, "put an earlier audit log away");
  const int done = retention_.files > 0 ? ::rename(path_.c_str(), earlier(1).c_str()) : ::unlink(path_.c_str());
  if (done < 0) return Error::from_errno(errno, "put the audit log away");
  remove_old();
  return {};
}

void AuditLog::remove_old() const {
  const std::int64_t oldest = ::time(nullptr) - retention_.days * kDay;
  for (std::uint32_t number = 1; number <= AuditRetention::kMostFiles; ++number) {
    const auto written = written_at(earlier(number));
    if (!written && number > retention_.files) return;  // they have no gaps beyond what is kept
    if (!written) continue;
    if (number > retention_.files || (retention_.days > 0 && *written < oldest))
      (void)::unlink(earlier(number).c_str());
  }
}

}  // namespace lmsb::control
