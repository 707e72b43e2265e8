#include "json/value.h"

#include <cmath>
#include <new>

#include <boost/json.hpp>

namespace lmsb::json {
namespace {

namespace bj = boost::json;

const bj::value& value_of(const void* raw) { return *static_cast<const bj::value*>(raw); }

constexpr std::size_t kMaxDepth = 32;

// Gives out no more memory than a document of that size may reasonably take. Without it "[0,0,0,..." would take a dozen
// times its own size, and a body of the largest size allowed most of a gigabyte.
class BoundedMemory final : public bj::memory_resource {
 public:
  explicit BoundedMemory(std::size_t text_size) : left_(3 * text_size + (std::size_t{32} << 20U)) {}

 private:
  // The library gives strings back with another alignment than it asked for; new's own serves all of them.
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    if (size > left_ || alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__) throw std::bad_alloc();
    left_ -= size;
    return ::operator new(size);
  }
  void do_deallocate(void* memory, std::size_t size, std::size_t) override {
    left_ += size;
    ::operator delete(memory);
  }
  bool do_is_equal(const bj::memory_resource& other) const noexcept override { return this == &other; }

  std::size_t left_;
};

// A number beyond a double's range reads as infinite, and "0e999" as none at all; JSON has neither.
void drop_odd_numbers(bj::value& value) {
  if (const double* number = value.if_double(); number != nullptr && !std::isfinite(*number)) value = nullptr;
  if (bj::array* array = value.if_array())
    for (bj::value& item : *array) drop_odd_numbers(item);
  if (bj::object* object = value.if_object())
    for (auto& member : *object) drop_odd_numbers(member.value());
}

}  // namespace

Kind Value::kind() const {
  switch (value_of(raw_).kind()) {
    case bj::kind::null: return Kind::null;
    case bj::kind::bool_: return Kind::boolean;
    case bj::kind::int64: return Kind::integer;
    case bj::kind::uint64:
    case bj::kind::double_: return Kind::number;
    case bj::kind::string: return Kind::string;
    case bj::kind::array: return Kind::array;
    case bj::kind::object: return Kind::object;
  }
  return Kind::null;
}

std::optional<bool> Value::boolean() const {
  const bool* value = value_of(raw_).if_bool();
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

std::optional<std::int64_t> Value::integer() const {
  const bj::value& value = value_of(raw_);
  if (const std::int64_t* whole = value.if_int64()) return *whole;
  const double* number = value.if_double();
  if (number == nullptr || std::trunc(*number) != *number || std::abs(*number) > 9.0e15) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

std::optional<double> Value::number() const {
  const bj::value& value = value_of(raw_);
  if (const double* number = value.if_double()) return *number;
  if (const std::int64_t* whole = value.if_int64()) return static_cast<double>(*whole);
  if (const std::uint64_t* whole = value.if_uint64()) return static_cast<double>(*whole);
  return std::nullopt;
}

std::optional<std::string_view> Value::string() const {
  const bj::string* text = value_of(raw_).if_string();
  return text != nullptr ? std::optional(std::string_view(text->data(), text->size())) : std::nullopt;
}

std::vector<Value> Value::items() const {
  std::vector<Value> list;
  if (const bj::array* array = value_of(raw_).if_array())
    for (const bj::value& item : *array) list.emplace_back(&item);
  return list;
}

std::vector<std::pair<std::string_view, Value>> Value::members() const {
  std::vector<std::pair<std::string_view, Value>> list;
  if (const bj::object* object = value_of(raw_).if_object())
    for (const auto& member : *object) list.emplace_back(std::string_view(member.key()), Value(&member.value()));
  return list;
}

std::optional<Value> Value::find(std::string_view name) const {
  const bj::object* object = value_of(raw_).if_object();
  const bj::value* value = object != nullptr ? object->if_contains(name) : nullptr;
  return value != nullptr ? std::optional(Value(value)) : std::nullopt;
}

std::string Value::text() const {
  bj::value copy = value_of(raw_);
  drop_odd_numbers(copy);
  return bj::serialize(copy);
}

struct Document::Impl {
  explicit Impl(std::size_t text_size) : memory(text_size) {}

  // What is wrong with `text`, or nothing.
  std::optional<ParseFault> parse(std::string_view text) {
    bj::parse_options options;
    options.max_depth = kMaxDepth;
    try {
      bj::stream_parser parser(&memory, options);  // its scratch space counts too
      boost::system::error_code error;
      parser.reset(&memory);
      const std::size_t read = parser.write_some(text, error);
      if (!error && read < text.size()) error = bj::error::extra_data;
      if (!error) parser.finish(error);
      if (error) return ParseFault{read, error.message()};
      root.emplace(parser.release());  // assigning would copy it out of `memory`
    } catch (const std::bad_alloc&) {
      return ParseFault{0, "too many values"};
    }
    return std::nullopt;
  }

  BoundedMemory memory;
  std::optional<bj::value> root;  // after the memory it lies in
};

Document::Document(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

std::optional<Document> Document::parse(std::string_view text, ParseFault& fault) {
  auto impl = std::make_unique<Impl>(text.size());
  if (auto wrong = impl->parse(text)) {
    fault = *std::move(wrong);
    return std::nullopt;
  }
  return Document(std::move(impl));
}

Value Document::root() const { return Value(&*impl_->root); }

}  // namespace lmsb::json
