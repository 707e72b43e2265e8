#pragma once
// Document: what a YAML or JSON file says, as a tree of text; as much of YAML as a device file needs. Anchors are not
// followed, tags and several documents are refused, and what is read is bounded before it takes memory: the file may
// be anybody's.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lmsb::cdi {

struct Member;

struct Node {
  enum class Kind : std::uint8_t { text, list, map };
  Kind kind = Kind::text;
  std::string text;             // of a scalar, as written: "true", "195", "/dev/nvidia0"; "" also stands for null
  std::vector<Node> items;      // of a list
  std::vector<Member> members;  // of a map, in order; no key twice

  bool is_empty() const { return kind == Kind::text && text.empty(); }
  // Null: there is no such member, or this is no map.
  const Node* find(std::string_view key) const;
};

struct Member {
  std::string key;
  Node value;
};

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxNodes = 50'000;
constexpr std::size_t kMaxTextOctets = 4096;

// Pure. Errors: invalid_argument, saying what is wrong and in which line.
Result<Node> parse_document(std::string_view text);

}  // namespace lmsb::cdi
