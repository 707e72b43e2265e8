#include "json/writer.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "base/assert.h"
#include "base/text.h"

namespace lmsb::json {
namespace {

void append_escape(std::string& out, unsigned char c) {
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  std::array<char, 8> escape{};
  std::snprintf(escape.data(), escape.size(), "\\u%04x", c);
  out += escape.data();
}

// Runs of ordinary characters are appended whole.
void append_valid(std::string& out, std::string_view text) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F) continue;
    out.append(text, begin, i - begin);
    append_escape(out, c);
    begin = i + 1;
  }
  out.append(text, begin, text.size() - begin);
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  if (is_utf8(text)) {
    append_valid(out, text);
  } else {
    append_valid(out, to_utf8(text));
  }
  out += '"';
}

}  // namespace

std::string quote(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

void Writer::separate() {
  if (needs_comma_) text_ += ',';
  needs_comma_ = true;
}

Writer& Writer::begin_object() {
  separate();
  text_ += '{';
  ++depth_;
  needs_comma_ = false;
  return *this;
}

Writer& Writer::end_object() {
  text_ += '}';
  --depth_;
  needs_comma_ = true;
  return *this;
}

Writer& Writer::begin_array() {
  separate();
  text_ += '[';
  ++depth_;
  needs_comma_ = false;
  return *this;
}

Writer& Writer::end_array() {
  text_ += ']';
  --depth_;
  needs_comma_ = true;
  return *this;
}

Writer& Writer::key(std::string_view name) {
  separate();
  append_quoted(text_, name);
  text_ += ':';
  needs_comma_ = false;
  return *this;
}

Writer& Writer::string(std::string_view text) {
  separate();
  append_quoted(text_, text);
  return *this;
}

Writer& Writer::integer(std::int64_t value) { return raw(std::to_string(value)); }
Writer& Writer::unsigned_integer(std::uint64_t value) { return raw(std::to_string(value)); }

Writer& Writer::number(double value) {
  if (!std::isfinite(value)) return null();
  std::array<char, 64> text{};
  if (std::abs(value) < 1e15) {
    std::snprintf(text.data(), text.size(), "%.3f", value);
  } else {
    std::snprintf(text.data(), text.size(), "%.17g", value);  // all digits before the point would not fit
  }
  return raw(text.data());
}

Writer& Writer::boolean(bool value) { return raw(value ? "true" : "false"); }
Writer& Writer::null() { return raw("null"); }

Writer& Writer::raw(std::string_view json) {
  separate();
  text_ += json;
  return *this;
}

std::string Writer::str() && {
  LMSB_ASSERT(depth_ == 0);
  return std::move(text_);
}

}  // namespace lmsb::json
