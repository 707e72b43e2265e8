#include "cdi/document.h"

#include <algorithm>
#include <yaml.h>

#include "base/text.h"

namespace lmsb::cdi {
namespace {

class Event {
 public:
  Event() = default;
  ~Event() { yaml_event_delete(&event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  yaml_event_t* get() { return &event_; }
  yaml_event_type_t type() const { return event_.type; }
  std::size_t line() const { return event_.start_mark.line + 1; }

  std::string_view text() const {
    // NOLINTNEXTLINE: the library's octets are unsigned
    return {reinterpret_cast<const char*>(event_.data.scalar.value), event_.data.scalar.length};
  }
  bool is_plain() const { return event_.data.scalar.style == YAML_PLAIN_SCALAR_STYLE; }

 private:
  yaml_event_t event_{};
};

Error fault(std::size_t line, const std::string& what) {
  return {ErrorCode::invalid_argument, "line " + std::to_string(line) + ": " + what};
}

bool is_null(const Event& event) {
  return event.is_plain() && (event.text() == "null" || event.text() == "~" || event.text() == "Null");
}

class Reader {
 public:
  explicit Reader(std::string_view text) {
    is_made_ = yaml_parser_initialize(&parser_) == 1;
    if (!is_made_) return;
    // NOLINTNEXTLINE: the library's octets are unsigned
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
  }
  ~Reader() {
    if (is_made_) yaml_parser_delete(&parser_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Result<Node> read() {
    if (!is_made_) return Error(ErrorCode::resource_exhausted, "no memory for a parser");
    LMSB_CHECK(expect(YAML_STREAM_START_EVENT));
    LMSB_CHECK(expect(YAML_DOCUMENT_START_EVENT));
    Event first;
    LMSB_CHECK(next(first));
    LMSB_TRY(Node node, read_node(first, 0));
    LMSB_CHECK(expect(YAML_DOCUMENT_END_EVENT));
    LMSB_CHECK(expect(YAML_STREAM_END_EVENT));
    return node;
  }

 private:
  Status next(Event& event) {
    if (yaml_parser_parse(&parser_, event.get()) == 1) return {};
    return fault(parser_.problem_mark.line + 1, parser_.problem != nullptr ? parser_.problem : "not YAML");
  }

  Status expect(yaml_event_type_t type) {
    Event event;
    LMSB_CHECK(next(event));
    if (event.type() == type) return {};
    return fault(event.line(), "one document with one value is expected");
  }

  Result<Node> read_node(const Event& event, std::size_t depth) {  // NOLINT(misc-no-recursion): kMaxDepth
    if (depth > kMaxDepth) return fault(event.line(), "nested deeper than 16");
    if (++nodes_ > kMaxNodes) return fault(event.line(), "more than 50000 values");
    if (event.type() == YAML_SCALAR_EVENT) return read_text(event);
    if (event.type() == YAML_SEQUENCE_START_EVENT) return read_list(depth);
    if (event.type() == YAML_MAPPING_START_EVENT) return read_map(depth);
    return fault(event.line(), "anchors are not followed: write the value itself");
  }

  static Result<Node> read_text(const Event& event) {
    Node node;
    if (event.text().size() > kMaxTextOctets) return fault(event.line(), "a text longer than 4096 octets");
    if (!is_null(event)) node.text = event.text();
    return node;
  }

  Result<Node> read_list(std::size_t depth) {  // NOLINT(misc-no-recursion)
    Node node;
    node.kind = Node::Kind::list;
    for (;;) {
      Event event;
      LMSB_CHECK(next(event));
      if (event.type() == YAML_SEQUENCE_END_EVENT) return node;
      LMSB_TRY(Node item, read_node(event, depth + 1));
      node.items.push_back(std::move(item));
    }
  }

  Result<Node> read_map(std::size_t depth) {  // NOLINT(misc-no-recursion)
    Node node;
    node.kind = Node::Kind::map;
    for (;;) {
      Event key;
      LMSB_CHECK(next(key));
      if (key.type() == YAML_MAPPING_END_EVENT) return node;
      if (key.type() != YAML_SCALAR_EVENT) return fault(key.line(), "a key that is no text");
      LMSB_TRY(Node name, read_text(key));
      if (node.members.size() >= kMaxKeys) return fault(key.line(), "more than 64 keys");
      if (node.find(name.text) != nullptr) return fault(key.line(), "key " + quoted(name.text) + " is there twice");
      Event event;
      LMSB_CHECK(next(event));
      LMSB_TRY(Node value, read_node(event, depth + 1));
      node.members.push_back({std::move(name.text), std::move(value)});
    }
  }

  static constexpr std::size_t kMaxKeys = 64;  // of one map: they are looked through
  yaml_parser_t parser_{};
  bool is_made_ = false;
  std::size_t nodes_ = 0;
};

}  // namespace

const Node* Node::find(std::string_view key) const {
  const auto found = std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.key == key; });
  return found == members.end() ? nullptr : &found->value;
}

Result<Node> parse_document(std::string_view text) {
  if (!is_utf8(text)) return Error(ErrorCode::invalid_argument, "not UTF-8");
  return Reader(text).read();
}

}  // namespace lmsb::cdi
