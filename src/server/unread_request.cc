#include "server/unread_request.h"

#include <utility>

namespace lmsb::server {
namespace {

Refusal refuse(int status, ErrorCode code, std::string slug, std::string why) {
  return {status, Error(code, std::move(why)).with_slug(std::move(slug))};
}

// "malformed request: a reason" is of two steps.
Error malformed(const std::string& why) {
  const std::size_t colon = why.starts_with("malformed ") ? why.find(": ") : std::string::npos;
  Error error = Error(ErrorCode::invalid_argument, why.substr(0, colon)).with_slug("malformed_request");
  return colon == std::string::npos ? error : std::move(error).with_cause(why.substr(colon + 2));
}

}  // namespace

Refusal unread_request(int status, const std::string& why) {
  switch (status) {
    case 408: return refuse(408, ErrorCode::deadline_exceeded, "request_timeout", why);
    case 413: return refuse(413, ErrorCode::invalid_argument, "request_too_large", why);
    case 417: return refuse(417, ErrorCode::invalid_argument, "unsupported_expectation", why);
    case 431: return refuse(431, ErrorCode::invalid_argument, "header_too_large", why);
    case 500: return refuse(500, ErrorCode::internal, "internal", why);
    case 501: return refuse(501, ErrorCode::unsupported, "unsupported_coding", why);
    case 503: return refuse(503, ErrorCode::unavailable, "too_many_large_requests", why);
    case 505: return refuse(505, ErrorCode::unsupported, "unsupported_http_version", why);
    default: return {400, malformed(why)};
  }
}

}  // namespace lmsb::server
