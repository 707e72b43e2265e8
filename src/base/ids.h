#pragma once
// Ids of things that users see. Random, so that nobody guesses another's.
#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace lmsb {

// A sandbox's id: [a-z][a-z0-9]{19}. A DNS label, and what E2B's clients accept. Names of kernel objects follow
// from it.
class SandboxId {
 public:
  // A fresh random id (getrandom(2); 97 bits).
  static SandboxId create();
  // Nothing when `text` is not of the form above.
  static std::optional<SandboxId> parse(std::string_view text);
  const std::string& str() const { return text_; }
  auto operator<=>(const SandboxId&) const = default;

 private:
  explicit SandboxId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// `prefix` + 20 random characters of [a-z0-9], for example "prc_" for processes.
std::string create_prefixed_id(std::string_view prefix);

// Whether `text` may name a sandbox: [A-Za-z0-9][A-Za-z0-9_.-]{0,62} and not shaped like an id.
bool is_sandbox_name(std::string_view text);

}  // namespace lmsb
