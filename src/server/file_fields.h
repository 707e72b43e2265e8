#pragma once
// Fields that the requests and answers of the file API share. Paths are octets on Linux and text in JSON: one that is
// no UTF-8 comes as `path_base64` beside a readable `path`, and may be sent that way.
#include <map>
#include <string>

#include "base/result.h"
#include "control/file_values.h"
#include "http/message.h"
#include "io/task.h"
#include "json/reader.h"
#include "json/writer.h"

namespace lmsb::server {

// A path as text in one field or as base64 in the other; a fault when there is neither, or both.
struct PathField {
  std::string_view text;
  std::string_view base64;
};
constexpr PathField kPathField{"path", "path_base64"};
constexpr PathField kToField{"to", "to_base64"};
void read_path(json::ObjectReader& reader, PathField field, std::string& out);
// "0644"
void read_mode(json::ObjectReader& reader, std::string_view name, std::uint32_t& out);
// USER or USER:GROUP; "" is none of them.
void read_owner(json::ObjectReader& reader, std::string& out);
void read_limit(json::ObjectReader& reader, std::uint64_t& out);

// Gives a full disk (507), and a condition that is not met (412), their statuses, which no category of errors has.
io::Task<http::Response> with_file_statuses(io::Task<http::Response> operation);

// The query of a file route: refuses what it was not asked for.
class FileQuery {
 public:
  explicit FileQuery(const std::map<std::string, std::string>& query) : rest_(query) {}

  // `path` or `path_base64`.
  Status take_path(std::string& out);
  std::string take(const std::string& name);  // "" when it is not there
  Status take_number(const std::string& name, std::uint64_t& out, std::uint64_t low, std::uint64_t high);
  Status take_flag(const std::string& name, bool& out);  // true or false
  Status take_mode(const std::string& name, std::optional<std::uint32_t>& out);
  Status take_owner(std::string& out);  // as read_owner()
  // Error: something is left.
  Status finish() const;

 private:
  std::map<std::string, std::string> rest_;
};

// Writes `name` and, where it is no UTF-8, `name_base64`.
void write_path(json::Writer& out, const std::string& name, std::string_view path);
void write_file_info(json::Writer& out, const control::FileInfo& info);
// `skipped` and `skipped_count`.
void write_skipped(json::Writer& out, const control::Skipped& skipped);

}  // namespace lmsb::server
