#pragma once
// Which local models a sandbox has, and how much of them; what it has used. Values, and what follows from them. Pure.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace lmsb::control {

struct ModelAccess {
  static constexpr std::size_t kMaxNames = 16;

  std::vector<std::string> names;  // none: it has no models. The first is the one for who names none
  // Of all that it asks, prompts and answers together, for as long as there is the sandbox; 0 = as many as it likes.
  std::uint64_t tokens = 0;
  std::uint32_t requests_per_minute = 0;  // 0 = as many as it likes

  bool is_something() const { return !names.empty(); }
  bool operator==(const ModelAccess&) const = default;
};

struct ModelUsage {
  std::uint64_t requests = 0;  // that were passed on to a model
  std::uint64_t refused = 0;   // for want of a token or of its turn, or for a model that it has not
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;

  std::uint64_t tokens() const { return prompt_tokens + completion_tokens; }
  bool operator==(const ModelUsage&) const = default;
};

// Whether it can be asked for. Error: invalid_models.
Status check_form(const ModelAccess& access);
// Variables by which programs in a sandbox find its models; none where it has none.
std::map<std::string, std::string> model_variables(const ModelAccess& access);
// As texts that outlive the daemon, and back: what they do not say, or a later version has added, is as if there were
// no models. `names` is "" where there are none.
std::map<std::string, std::string> texts_of(const ModelAccess& access, const ModelUsage& usage);
void read_texts(const std::map<std::string, std::string>& texts, ModelAccess& access, ModelUsage& usage);

}  // namespace lmsb::control
