#include "image/image_json.h"

#include <set>

#include <boost/json.hpp>

#include "base/text.h"

namespace lmsb::image {
namespace {

namespace json = boost::json;

Error bad(std::string_view key, std::string_view why) {
  return Error(ErrorCode::internal, "\"" + std::string(key) + "\": " + std::string(why));
}

Result<std::string> text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(json::string_view(key.data(), key.size()));
  if (value == nullptr) return bad(key, "missing");
  if (!value->is_string()) return bad(key, "not a string");
  const auto& text = value->get_string();
  if (std::string_view(text.data(), text.size()).find('\0') != std::string_view::npos) return bad(key, "has a NUL");
  return std::string(text.data(), text.size());
}

Result<Bytes> size_of(const json::object& object) {
  const auto* value = object.if_contains("size_bytes");
  if (value == nullptr || !value->is_int64() || value->get_int64() < 0) return bad("size_bytes", "not a size");
  return Bytes(static_cast<std::uint64_t>(value->get_int64()));
}

Result<std::vector<std::string>> env_of(const json::object& object) {
  const auto* value = object.if_contains("env");
  if (value == nullptr || !value->is_array()) return bad("env", "not a list");
  std::vector<std::string> env;
  for (const auto& item : value->get_array()) {
    if (!item.is_string()) return bad("env", "not a list of strings");
    std::string line(item.get_string().data(), item.get_string().size());
    const auto equals = line.find('=');
    if (equals == 0 || equals == std::string::npos || line.find('\0') != std::string::npos)
      return bad("env", quoted(line) + " is not NAME=value");
    env.push_back(std::move(line));
  }
  return env;
}

bool is_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  return text.size() == kPrefix.size() + 64 && text.starts_with(kPrefix) &&
         text.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string_view::npos;
}

// Files of another range would all be nobody's inside.
Status check_id_base(const json::object& object) {
  const auto* value = object.if_contains("id_base");
  const bool is_ours = value != nullptr && value->is_int64() && value->get_int64() == kImageRangeBase;
  if (is_ours) return {};
  return bad("id_base", "not " + std::to_string(kImageRangeBase) +
                            ": its files belong to other ids, as another version of lm-sandbox made them");
}

Status check_fields(const Image& image) {
  if (!is_image_name(image.name)) return bad("name", quoted(image.name) + " cannot name an image");
  if (!is_digest(image.digest)) return bad("digest", "not sha256: and 64 hex digits");
  if (!image.workdir.starts_with('/')) return bad("workdir", "not an absolute path");
  if (image.user.empty()) return bad("user", "empty");
  return {};
}

Status check_keys(const json::object& object) {
  static const std::set<std::string_view> kKnown = {"name", "digest", "created_at", "size_bytes", "id_base",
                                                    "user", "env",    "workdir",    "description"};
  for (const auto& item : object) {
    const std::string_view key(item.key().data(), item.key().size());
    if (kKnown.count(key) == 0) return bad(key, "unknown key");
  }
  return {};
}

}  // namespace

std::string format_image(const Image& image) {
  json::array env;
  for (const auto& line : image.env) env.emplace_back(line);
  const json::object object = {
      {"name", image.name},
      {"digest", image.digest},
      {"created_at", image.created_at},
      {"size_bytes", static_cast<std::int64_t>(image.size.count())},
      {"id_base", kImageRangeBase},
      {"user", image.user},
      {"env", std::move(env)},
      {"workdir", image.workdir},
      {"description", image.description},
  };
  std::string text;
  for (const auto& item : object) {
    text += text.empty() ? "{\n  " : ",\n  ";
    text += json::serialize(item.key()) + ": " + json::serialize(item.value());
  }
  return text + "\n}\n";
}

Result<Image> parse_image(std::string_view text) {
  if (text.size() > kImageJsonMax) return Error(ErrorCode::internal, "longer than 64 KiB");
  boost::system::error_code failure;
  const json::value parsed = json::parse(json::string_view(text.data(), text.size()), failure);
  if (failure || !parsed.is_object()) return Error(ErrorCode::internal, "not a JSON object");
  const json::object& object = parsed.get_object();
  LMSB_CHECK(check_keys(object));
  LMSB_CHECK(check_id_base(object));
  Image image;
  LMSB_TRY(image.name, text_of(object, "name"));
  LMSB_TRY(image.digest, text_of(object, "digest"));
  LMSB_TRY(image.created_at, text_of(object, "created_at"));
  LMSB_TRY(image.size, size_of(object));
  LMSB_TRY(image.user, text_of(object, "user"));
  LMSB_TRY(image.env, env_of(object));
  LMSB_TRY(image.workdir, text_of(object, "workdir"));
  LMSB_TRY(image.description, text_of(object, "description"));
  LMSB_CHECK(check_fields(image));
  return image;
}

}  // namespace lmsb::image
