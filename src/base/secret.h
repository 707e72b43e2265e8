#pragma once
// Secret: a string that must not reach a log, an error or an answer. reveal() is easy to grep for.
#include <string>
#include <utility>

namespace lmsb {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  const std::string& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

 private:
  std::string value_;
};

// What prints in place of a secret.
inline const char* to_string(const Secret&) { return "***"; }

}  // namespace lmsb
