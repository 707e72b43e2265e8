#include "server/file_headers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <optional>

#include "base/text.h"
#include "http/target.h"

namespace lmsb::server {
namespace {

constexpr std::int64_t kLastDate = 253'402'300'799;  // the end of year 9999

// Digits alone; what is larger than a number can be is the largest.
std::optional<std::uint64_t> parse_position(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : ~std::uint64_t{0};
}

Error bad_condition(std::string message) {
  return Error(ErrorCode::invalid_argument, std::move(message))
      .with_slug("invalid_request")
      .with_hint("If-Match and If-None-Match take * or entity tags as ETag gives them, with their quotes");
}

// Takes what stands before the next tag off the front of `field`; false at its end.
bool has_more(std::string_view& field) {
  field = field.substr(std::min(field.find_first_not_of(" \t,"), field.size()));
  return !field.empty();
}

// Takes a tag off the front of `field`; "" when there is none.
std::string_view take_tag(std::string_view& field) {
  const std::size_t begin = field.starts_with("W/") ? 2 : 0;
  if (field.size() <= begin || field[begin] != '"') return {};
  const std::size_t end = field.find('"', begin + 1);
  if (end == std::string_view::npos) return {};
  const std::string_view tag = field.substr(0, end + 1);
  field.remove_prefix(end + 1);
  return tag;
}

// Adds what a line of `name` has.
Status add_tags(std::string_view name, std::string_view field, control::FileCondition& out) {
  if (trim(field) == "*") {
    out.is_any = true;
    return {};
  }
  while (has_more(field)) {
    const std::string_view tag = take_tag(field);
    if (tag.empty()) return bad_condition(std::string(name) + " is no list of entity tags");
    out.tags.emplace_back(tag);
  }
  return {};
}

Status read_condition(const http::Headers& headers, std::string_view name, control::FileCondition::Kind kind,
                      control::FileCondition& out) {
  if (!headers.find(name)) return {};
  if (out.kind != control::FileCondition::Kind::none)
    return bad_condition("If-Match and If-None-Match together: one of them");
  out.kind = kind;
  for (const auto& [field, value] : headers.fields())
    if (http::same_name(field, name)) LMSB_CHECK(add_tags(name, value, out));
  return {};
}

std::string_view opaque(std::string_view etag) { return etag.starts_with("W/") ? etag.substr(2) : etag; }

// As a token of a header: what is none becomes an underscore.
std::string plain_name(std::string_view name) {
  std::string plain(name.substr(0, 255));
  std::replace_if(
      plain.begin(), plain.end(),
      [](char c) { return c < ' ' || c == '\x7f' || c == '"' || c == '\\' || static_cast<unsigned char>(c) >= 0x80; },
      '_');
  return plain;
}

}  // namespace

RangeChoice choose_range(std::string_view field, std::uint64_t size) {
  const RangeChoice whole{RangeChoice::Kind::whole, 0, size};
  const std::size_t equals = field.find('=');
  if (equals == std::string_view::npos || !http::same_name(trim(field.substr(0, equals)), "bytes")) return whole;
  const std::string_view spec = trim(field.substr(equals + 1));
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return whole;
  const std::string_view first_text = trim(spec.substr(0, dash));
  const std::string_view last_text = trim(spec.substr(dash + 1));
  const auto first = parse_position(first_text);
  const auto last = parse_position(last_text);
  if ((!first && !first_text.empty()) || (!last && !last_text.empty()) || (!first && !last)) return whole;
  if (first && last && *first > *last) return whole;
  const RangeChoice unsatisfiable{RangeChoice::Kind::unsatisfiable, 0, 0};
  if (!first) {  // the last octets
    if (*last == 0 || size == 0) return unsatisfiable;
    const std::uint64_t length = std::min(*last, size);
    return {RangeChoice::Kind::part, size - length, length};
  }
  if (*first >= size) return unsatisfiable;
  const std::uint64_t end = std::min(last.value_or(size - 1), size - 1);
  return {RangeChoice::Kind::part, *first, end - *first + 1};
}

bool names_etag(std::string_view field, std::string_view etag) {
  if (trim(field) == "*") return true;
  while (has_more(field)) {
    const std::string_view tag = take_tag(field);
    if (tag.empty()) return false;
    if (opaque(tag) == opaque(etag)) return true;
  }
  return false;
}

Result<control::FileCondition> condition_of(const http::Headers& headers) {
  using Kind = control::FileCondition::Kind;
  control::FileCondition condition;
  LMSB_CHECK(read_condition(headers, "If-Match", Kind::is_one_of, condition));
  LMSB_CHECK(read_condition(headers, "If-None-Match", Kind::is_none_of, condition));
  return condition;
}

Status check_if_match(const http::Headers& headers, const control::FileInfo& info) {
  control::FileCondition condition;
  LMSB_CHECK(read_condition(headers, "If-Match", control::FileCondition::Kind::is_one_of, condition));
  if (control::meets(condition, info)) return {};
  return Error(ErrorCode::failed_precondition, "the file is not the one of If-Match")
      .with_slug("precondition_failed")
      .with_hint("its entity tag is now " + control::etag_of(info));
}

bool is_same_strongly(std::string_view field, std::string_view etag) {
  return !etag.starts_with("W/") && trim(field) == etag;
}

std::string http_date(std::int64_t seconds) {
  if (seconds < 0 || seconds > kLastDate) return "";
  const auto time = static_cast<std::time_t>(seconds);
  std::tm utc{};
  if (::gmtime_r(&time, &utc) == nullptr) return "";
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

std::string rfc3339(control::FileTime time) {
  const std::int64_t seconds = std::clamp<std::int64_t>(time.seconds, -62'135'596'800, kLastDate);  // years 1 to 9999
  const auto moment = static_cast<std::time_t>(seconds);
  std::tm utc{};
  ::gmtime_r(&moment, &utc);
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%09uZ", utc.tm_year + 1900, utc.tm_mon + 1,
                utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, time.nanoseconds);
  return text.data();
}

void set_file_headers(http::Response& response, const control::FileInfo& info) {
  response.headers.set("ETag", control::etag_of(info));
  if (const std::string date = http_date(info.modified.seconds); !date.empty())
    response.headers.set("Last-Modified", date);
  response.headers.set("X-File-Type", std::string(to_string(info.type)));
  response.headers.set("X-File-Mode", control::octal_mode(info.mode));
  response.headers.set("X-File-Size", std::to_string(info.size));
  response.headers.set("X-File-Owner", plain_name(info.owner.empty() ? std::to_string(info.uid) : info.owner));
  response.headers.set("X-File-Group", plain_name(info.group.empty() ? std::to_string(info.gid) : info.group));
}

void set_download_headers(http::Response& response, std::string_view file_name) {
  response.headers.set("Content-Type", "application/octet-stream");
  response.headers.set("Content-Disposition", "attachment; filename=\"" + plain_name(file_name) +
                                                  "\"; filename*=UTF-8''" + http::percent_encode(to_utf8(file_name)));
  response.headers.set("Content-Security-Policy", "sandbox; default-src 'none'");
  response.headers.set("Cache-Control", "private, no-cache");
}

http::Headers skipped_trailer(const control::Skipped& skipped) {
  constexpr std::size_t kMost = 4096;
  http::Headers trailer;
  trailer.set("X-Skipped-Count", std::to_string(skipped.count));
  std::string names;
  for (const control::SkippedFile& file : skipped.files) {
    const std::string name = (names.empty() ? "" : ", ") + http::percent_encode(file.path);
    if (names.size() + name.size() > kMost) break;
    names += name;
  }
  if (!names.empty()) trailer.set("X-Skipped", std::move(names));
  return trailer;
}

}  // namespace lmsb::server
