#pragma once
// Document and Value: JSON text parsed within bounds, read without exceptions.
//
// A Value is a view into its Document (or one of its members): cheap to copy, valid as long as the Document lives.
// Depth is at most 32, memory at most 32 MiB and three times the text ("too many values" beyond); numbers are 64-bit
// integers or doubles; of members with equal names the last one counts.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lmsb::json {

enum class Kind : std::uint8_t { null, boolean, integer, number, string, array, object };

class Value {
 public:
  // `raw` is a boost::json::value, owned by a Document.
  explicit Value(const void* raw) : raw_(raw) {}

  Kind kind() const;
  bool is_null() const { return kind() == Kind::null; }
  std::optional<bool> boolean() const;
  std::optional<std::int64_t> integer() const;  // also of a number that is whole, such as 3.0
  std::optional<double> number() const;
  std::optional<std::string_view> string() const;
  std::vector<Value> items() const;                                 // of an array; else empty
  std::vector<std::pair<std::string_view, Value>> members() const;  // of an object, in order; else empty
  std::optional<Value> find(std::string_view name) const;           // of an object

  // The value as JSON text.
  std::string text() const;

 private:
  const void* raw_;
};

// Why a text is no JSON, and where.
struct ParseFault {
  std::size_t position = 0;  // octets before it
  std::string message;
};

class Document {
 public:
  // Nothing when `text` is not one JSON value (trailing blanks allowed); `fault` then says why.
  static std::optional<Document> parse(std::string_view text, ParseFault& fault);
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();
  Value root() const;

 private:
  struct Impl;
  explicit Document(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmsb::json
