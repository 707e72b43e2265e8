#include "control/model_access.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "guest_protocol/messages.h"

namespace lmsb::control {
namespace {

constexpr std::size_t kMaxName = 128;  // more than the store takes

Error invalid(const std::string& what) {
  return Error(ErrorCode::invalid_argument, what)
      .with_slug("invalid_models")
      .with_hint("give the names that GET /v1/models lists, each once");
}

std::uint64_t number_in(const std::map<std::string, std::string>& texts, const char* name) {
  const auto found = texts.find(name);
  std::uint64_t number = 0;
  if (found == texts.end()) return 0;
  const std::string& text = found->second;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() ? number : 0;
}

constexpr std::array kKnown = {"names",   "tokens",        "requests_per_minute", "requests",
                               "refused", "prompt_tokens", "completion_tokens"};

}  // namespace

Status check_form(const ModelAccess& access) {
  if (access.names.size() > ModelAccess::kMaxNames)
    return invalid("a sandbox has " + std::to_string(ModelAccess::kMaxNames) + " models at most");
  std::set<std::string_view> seen;
  for (const std::string& name : access.names) {
    const bool is_name = !name.empty() && name.size() <= kMaxName && name.find_first_of(" \n\t") == std::string::npos &&
                         name.find('\0') == std::string::npos;
    if (!is_name) return invalid(quoted(name) + " is no name of a model");
    if (!seen.insert(name).second) return invalid("the model " + quoted(name) + " is named twice");
  }
  if (access.names.empty() && (access.tokens > 0 || access.requests_per_minute > 0))
    return invalid("limits of models are for a sandbox that has models");
  return {};
}

std::map<std::string, std::string> model_variables(const ModelAccess& access) {
  if (!access.is_something()) return {};
  const std::string place = "127.0.0.1:" + std::to_string(guest_protocol::kModelPort);
  // No key is asked for; clients want one all the same.
  const std::string key = "sandbox";
  return {{"OPENAI_BASE_URL", "http://" + place + "/v1"},
          {"OPENAI_API_KEY", key},
          {"ANTHROPIC_BASE_URL", "http://" + place},
          {"ANTHROPIC_API_KEY", key},
          {"OLLAMA_HOST", place},
          {"LM_SANDBOX_MODEL", access.names.front()}};
}

std::map<std::string, std::string> texts_of(const ModelAccess& access, const ModelUsage& usage) {
  std::map<std::string, std::string> texts;
  if (!access.is_something()) return texts;
  std::string& names = texts["names"];
  for (const std::string& name : access.names) names += (names.empty() ? "" : " ") + name;
  const auto add = [&texts](const char* name, std::uint64_t number) {
    if (number > 0) texts.emplace(name, std::to_string(number));
  };
  add("tokens", access.tokens);
  add("requests_per_minute", access.requests_per_minute);
  add("requests", usage.requests);
  add("refused", usage.refused);
  add("prompt_tokens", usage.prompt_tokens);
  add("completion_tokens", usage.completion_tokens);
  return texts;
}

void read_texts(const std::map<std::string, std::string>& texts, ModelAccess& access, ModelUsage& usage) {
  access = {};
  usage = {};
  const auto is_known = [](const auto& text) {
    return std::find(kKnown.begin(), kKnown.end(), text.first) != kKnown.end();
  };
  // A bound that this version does not know must not be taken for none.
  if (!std::all_of(texts.begin(), texts.end(), is_known)) return;
  const auto names = texts.find("names");
  if (names == texts.end()) return;
  for (std::string_view left = names->second; !left.empty();) {
    const std::string_view name = left.substr(0, left.find(' '));
    left.remove_prefix(std::min(left.size(), name.size() + 1));
    access.names.emplace_back(name);
  }
  access.tokens = number_in(texts, "tokens");
  access.requests_per_minute =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(number_in(texts, "requests_per_minute"), UINT32_MAX));
  if (!check_form(access).ok()) access = {};
  usage.requests = number_in(texts, "requests");
  usage.refused = number_in(texts, "refused");
  usage.prompt_tokens = number_in(texts, "prompt_tokens");
  usage.completion_tokens = number_in(texts, "completion_tokens");
}

}  // namespace lmsb::control
