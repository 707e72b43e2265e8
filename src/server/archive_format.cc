#include "server/archive_format.h"

#include <array>

#include "base/text.h"
#include "server/accept.h"
#include "server/answers.h"

namespace lmsb::server {
namespace {

using control::ArchiveFormat;

constexpr std::array kFormats = {ArchiveFormat::tar, ArchiveFormat::tar_zst, ArchiveFormat::zip};
// The first three are those of kFormats; who speaks of mere octets means the first of these.
constexpr std::array<std::string_view, 4> kTypes = {"application/x-tar", "application/zstd", "application/zip",
                                                    "application/octet-stream"};

ArchiveFormat format_at(std::size_t place) { return place < kFormats.size() ? kFormats.at(place) : kFormats.front(); }

std::optional<ArchiveFormat> format_named(const std::string& name) {
  for (const ArchiveFormat format : kFormats)
    if (name == to_string(format)) return format;
  return std::nullopt;
}

}  // namespace

std::optional<ArchiveFormat> wanted_archive(const std::string& named, const http::Request& request) {
  if (!named.empty()) return format_named(named);
  const auto place = most_wanted(request.headers, kTypes, 0);
  if (!place) return std::nullopt;
  return format_at(*place);
}

std::optional<ArchiveFormat> sent_archive(const std::string& named, const http::Request& request) {
  if (!named.empty()) return format_named(named);
  const auto field = request.headers.find("Content-Type");
  if (!field) return kFormats.front();
  const std::string_view type = trim(field->substr(0, field->find(';')));
  for (std::size_t i = 0; i < kTypes.size(); ++i)
    if (http::same_name(type, kTypes.at(i))) return format_at(i);
  return std::nullopt;
}

http::Response refuse_archive(int status) {
  const Error error = Error(ErrorCode::invalid_argument, "archives are tar, tar.zst or zip")
                          .with_slug("unsupported_archive_format")
                          .with_hint(
                              "say format=tar, format=tar.zst or format=zip, or name application/x-tar, "
                              "application/zstd or application/zip");
  return error_answer(Dialect::v1, status, error);
}

std::string_view media_type(ArchiveFormat format) { return kTypes.at(static_cast<std::size_t>(format)); }

}  // namespace lmsb::server
