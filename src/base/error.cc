#include "base/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace lmsb {
namespace {

ErrorCode category(int err) {
  switch (err) {
    case ENOENT:
    case ESRCH: return ErrorCode::not_found;
    case EEXIST: return ErrorCode::already_exists;
    case EPERM:
    case EACCES: return ErrorCode::permission_denied;
    case EINVAL:
    case ENAMETOOLONG: return ErrorCode::invalid_argument;
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case EAGAIN: return ErrorCode::resource_exhausted;
    case ENOSYS:
    case EOPNOTSUPP: return ErrorCode::unsupported;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH: return ErrorCode::unavailable;
    case ETIMEDOUT: return ErrorCode::deadline_exceeded;
    case ECANCELED: return ErrorCode::cancelled;
    default: return ErrorCode::internal;
  }
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  static constexpr std::array<std::string_view, 12> kNames = {
      "invalid_argument",  "not_found",       "already_exists",     "failed_precondition",
      "permission_denied", "unauthenticated", "resource_exhausted", "deadline_exceeded",
      "cancelled",         "unavailable",     "unsupported",        "internal"};
  return kNames[static_cast<std::size_t>(code)];
}

Error Error::from_errno(int err, std::string_view what) {
  Error error = Error(category(err), std::string(what)).with_cause(std::strerror(err));
  error.errno_ = err;
  return error;
}

Error&& Error::with_context(std::string_view step) && {
  const std::string prefix = std::string(step) + ": ";
  message_.insert(0, prefix);
  cause_at_ += static_cast<std::uint32_t>(prefix.size());
  return std::move(*this);
}

Error&& Error::with_code(ErrorCode code) && {
  code_ = code;
  slug_.clear();
  return std::move(*this);
}

Error&& Error::with_cause(std::string_view cause) && {
  message_ += ": ";
  cause_at_ = static_cast<std::uint32_t>(message_.size());
  message_ += cause;
  return std::move(*this);
}

Error&& Error::with_hint(std::string hint) && {
  hint_ = std::move(hint);
  return std::move(*this);
}

Error&& Error::with_slug(std::string slug) && {
  slug_ = std::move(slug);
  return std::move(*this);
}

Error&& Error::with_wait(std::chrono::seconds wait) && {
  constexpr std::chrono::seconds kLongest{24 * 3600};
  wait_s_ = static_cast<std::uint32_t>(std::clamp(wait, std::chrono::seconds(0), kLongest).count());
  return std::move(*this);
}

}  // namespace lmsb
