#include "cli/list_filter.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cli/api.h"

namespace lmsb::cli {
namespace {

// SandboxState of the API.
constexpr std::array<std::string_view, 6> kStates = {"creating", "running", "paused", "stopped", "failed", "lost"};

// Docker's other names of the same.
std::string key_of(std::string_view name) {
  if (name == "status") return "state";
  if (name == "ancestor") return "image";
  return std::string(name);
}

std::string value_of(const std::string& key, std::string_view value) {
  if (key == "state" && value == "exited") return "stopped";
  return std::string(value);
}

bool fits_value(const std::string& key, const std::string& text, const std::string& wanted) {
  if (key == "id") return text.starts_with(wanted);
  if (key == "name") return text.find(wanted) != std::string::npos;
  return text == wanted;
}

}  // namespace

Status ListFilter::add(std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string key = key_of(text.substr(0, equals));
  const std::string_view value = equals == std::string_view::npos ? "" : text.substr(equals + 1);
  if (key == "label" && !value.empty()) {
    const std::size_t second = value.find('=');
    const bool any_value = second == std::string_view::npos;
    labels_.push_back(
        {std::string(value.substr(0, second)), any_value ? "" : std::string(value.substr(second + 1)), any_value});
    return {};
  }
  const bool is_known = key == "id" || key == "name" || key == "state" || key == "image";
  if (!is_known || value.empty())
    return Error(ErrorCode::invalid_argument, "--filter: " + quoted(text) + " is not KEY=VALUE of a key known here")
        .with_hint("write id=, name=, label=, status= or image=");
  const std::string wanted = value_of(key, value);
  if (key == "state" && std::find(kStates.begin(), kStates.end(), wanted) == kStates.end())
    return Error(ErrorCode::invalid_argument, "--filter: " + quoted(value) + " is no state of a sandbox")
        .with_hint("creating, running, paused, stopped (or exited), failed and lost are");
  values_[key].push_back(wanted);
  return {};
}

bool ListFilter::has_label(json::Value sandbox, const Label& label) {
  const auto labels = sandbox.find("labels");
  const auto found = labels ? labels->find(label.key) : std::nullopt;
  return found && (label.any_value || found->string() == label.value);
}

bool ListFilter::fits(json::Value sandbox) const {
  const auto has = [sandbox](const Label& label) { return has_label(sandbox, label); };
  if (!std::all_of(labels_.begin(), labels_.end(), has)) return false;
  return std::all_of(values_.begin(), values_.end(), [sandbox](const auto& entry) {
    const std::string text = text_field(sandbox, entry.first);
    return std::any_of(entry.second.begin(), entry.second.end(),
                       [&](const std::string& wanted) { return fits_value(entry.first, text, wanted); });
  });
}

}  // namespace lmsb::cli
