#include "server/file_fields.h"

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/text.h"
#include "server/answers.h"
#include "server/file_headers.h"
#include "server/query_fields.h"

namespace lmsb::server {
namespace {

constexpr std::string_view kNotBase64 = "is not base64 with padding (RFC 4648)";

constexpr std::string_view kNoOwner = "is empty: it is USER or USER:GROUP, each a name or a number";

std::string_view cause_of(int error) {
  return error == ENOTSUP ? "it is neither a file, a directory nor a link" : std::strerror(error);
}

std::optional<std::uint32_t> parse_mode(std::string_view text) {
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 07777U) return std::nullopt;
  return mode;
}

}  // namespace

io::Task<http::Response> with_file_statuses(io::Task<http::Response> operation) {
  auto response = co_await std::move(operation);
  if (response.ok()) co_return response;
  if (response.error().slug() == "disk_full") co_return error_answer(Dialect::v1, 507, response.error());
  if (response.error().slug() == "precondition_failed") co_return error_answer(Dialect::v1, 412, response.error());
  co_return response;
}

void read_path(json::ObjectReader& reader, PathField field, std::string& out) {
  if (!reader.raw(field.base64)) {
    reader.string(field.text, out, json::Need::required);
    return;
  }
  std::string encoded;
  if (!reader.string(field.base64, encoded)) return;
  if (reader.raw(field.text))
    return reader.refuse(field.text, "stands beside " + std::string(field.base64) + ": send one of them");
  auto decoded = base64_decode(encoded);
  if (!decoded) return reader.refuse(field.base64, std::string(kNotBase64));
  out = *std::move(decoded);
}

void read_mode(json::ObjectReader& reader, std::string_view name, std::uint32_t& out) {
  std::string text;
  if (!reader.string(name, text)) return;
  const auto mode = parse_mode(text);
  if (!mode) return reader.refuse(name, "must be octal digits, \"0644\" for example");
  out = *mode;
}

void read_owner(json::ObjectReader& reader, std::string& out) {
  if (reader.string("owner", out) && out.empty()) reader.refuse("owner", std::string(kNoOwner));
}

void read_limit(json::ObjectReader& reader, std::uint64_t& out) {
  std::int64_t limit = 0;
  if (reader.integer("limit", limit, 1, control::kMaxFilePage)) out = static_cast<std::uint64_t>(limit);
}

Status FileQuery::take_path(std::string& out) {
  const bool is_encoded = rest_.contains("path_base64");
  if (is_encoded == rest_.contains("path"))
    return invalid_query(is_encoded ? "send path or path_base64, not both" : "the query has no path");
  if (!is_encoded) {
    out = take("path");
    return {};
  }
  auto decoded = base64_decode(take("path_base64"));
  if (!decoded) return invalid_query("path_base64 " + std::string(kNotBase64));
  out = *std::move(decoded);
  return {};
}

std::string FileQuery::take(const std::string& name) {
  auto found = rest_.extract(name);
  return found.empty() ? std::string() : std::move(found.mapped());
}

Status FileQuery::take_number(const std::string& name, std::uint64_t& out, std::uint64_t low, std::uint64_t high) {
  if (!rest_.contains(name)) return {};
  const std::string text = take(name);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc() && end == text.data() + text.size() && out >= low && out <= high) return {};
  return invalid_query(name + " must be a whole number from " + std::to_string(low) + " to " + std::to_string(high));
}

Status FileQuery::take_flag(const std::string& name, bool& out) {
  if (!rest_.contains(name)) return {};
  const std::string text = take(name);
  out = text == "true";
  return out || text == "false" ? Status() : invalid_query(name + " must be true or false");
}

Status FileQuery::take_mode(const std::string& name, std::optional<std::uint32_t>& out) {
  if (!rest_.contains(name)) return {};
  out = parse_mode(take(name));
  return out ? Status() : invalid_query(name + " must be octal digits, 0644 for example");
}

Status FileQuery::take_owner(std::string& out) {
  if (!rest_.contains("owner")) return {};
  out = take("owner");
  return out.empty() ? invalid_query("owner " + std::string(kNoOwner)) : Status();
}

Status FileQuery::finish() const {
  return rest_.empty() ? Status()
                       : invalid_query("the query field " + quoted(rest_.begin()->first) + " is not known here");
}

void write_path(json::Writer& out, const std::string& name, std::string_view path) {
  out.key(name).string(path);
  if (!is_utf8(path)) out.key(name + "_base64").string(base64_encode(path));
}

void write_file_info(json::Writer& out, const control::FileInfo& info) {
  out.begin_object();
  write_path(out, "path", info.path);
  write_path(out, "name", std::string_view(info.path).substr(info.path.rfind('/') + 1));
  out.key("type").string(to_string(info.type)).key("size").unsigned_integer(info.size);
  out.key("mode").string(control::octal_mode(info.mode));
  out.key("uid").unsigned_integer(info.uid).key("gid").unsigned_integer(info.gid);
  string_or_null(out.key("owner"), info.owner);
  string_or_null(out.key("group"), info.group);
  out.key("links").unsigned_integer(info.links);
  out.key("modified_at").string(rfc3339(info.modified));
  out.key("etag").string(control::etag_of(info));
  if (info.type == control::FileType::symlink) write_path(out, "target", info.target);
  out.end_object();
}

void write_skipped(json::Writer& out, const control::Skipped& skipped) {
  out.key("skipped").begin_array();
  for (const control::SkippedFile& file : skipped.files) {
    out.begin_object();
    write_path(out, "path", file.path);
    out.key("cause").string(cause_of(file.error)).end_object();
  }
  out.end_array().key("skipped_count").unsigned_integer(skipped.count);
}

}  // namespace lmsb::server
