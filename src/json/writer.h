#pragma once
// Writer: JSON text, appended front to back. Strings come out as valid UTF-8 whatever goes in (U+FFFD). The caller
// keeps objects and arrays balanced; a bug there is caught by str().
//
//   Writer w;
//   w.begin_object().key("output").string(text).key("exit_code").integer(0).end_object();
#include <cstdint>
#include <string>
#include <string_view>

namespace lmsb::json {

class Writer {
 public:
  Writer& begin_object();
  Writer& end_object();
  Writer& begin_array();
  Writer& end_array();
  Writer& key(std::string_view name);
  Writer& string(std::string_view text);
  Writer& integer(std::int64_t value);
  Writer& unsigned_integer(std::uint64_t value);
  Writer& number(double value);  // three decimals; not finite becomes null
  Writer& boolean(bool value);
  Writer& null();
  // A value that is JSON text already.
  Writer& raw(std::string_view json);

  // The whole text; aborts when something is still open.
  std::string str() &&;

 private:
  void separate();
  std::string text_;
  std::uint32_t depth_ = 0;
  bool needs_comma_ = false;
};

// `text` as a JSON string with its quotes.
std::string quote(std::string_view text);

}  // namespace lmsb::json
