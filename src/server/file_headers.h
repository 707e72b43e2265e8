#pragma once
// The HTTP side of one file: ranges, entity tags, dates, and the headers of a download. Pure.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/file_values.h"
#include "http/message.h"

namespace lmsb::server {

// Which part of a representation of `size` octets a request wants.
struct RangeChoice {
  enum class Kind : std::uint8_t { whole, part, unsatisfiable };
  Kind kind = Kind::whole;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
// `field` is a Range header. One range of bytes is understood; what is anything else, malformed or several is ignored,
// as RFC 9110 (14.2) allows: the whole is the answer.
RangeChoice choose_range(std::string_view field, std::uint64_t size);

// Whether If-None-Match names `etag`: weak comparison (RFC 9110, 13.1.2). "*" names everything.
bool names_etag(std::string_view field, std::string_view etag);
// If-Match and If-None-Match of a request that changes a file; each may come in several lines. Error: both of them, or
// what is no list of entity tags.
Result<control::FileCondition> condition_of(const http::Headers& headers);
// Whether If-Match, if there is one, lets a file be read. Errors: precondition_failed, and those of condition_of().
Status check_if_match(const http::Headers& headers, const control::FileInfo& info);

// Whether If-Range names `etag`: strong comparison, so never for a weak one. A date never does: it is too coarse.
bool is_same_strongly(std::string_view field, std::string_view etag);

// "Wed, 25 Nov 2026 15:23:29 GMT"; "" for years that the form cannot say.
std::string http_date(std::int64_t seconds);
// "2026-11-25T15:23:29.123456789Z"
std::string rfc3339(control::FileTime time);

// ETag, Last-Modified, X-File-Type, -Mode, -Owner, -Group, -Size: what HEAD and GET say about a file.
void set_file_headers(http::Response& response, const control::FileInfo& info);
// X-Skipped-Count, and X-Skipped: the first paths, percent-encoded, with commas between, 4096 octets at most.
http::Headers skipped_trailer(const control::Skipped& skipped);
// What keeps a browser from taking octets of a sandbox for a page of ours.
void set_download_headers(http::Response& response, std::string_view file_name);

}  // namespace lmsb::server
