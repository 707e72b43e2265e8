// The check that decides: a real sandbox, made and used and gone.
#include <fmt/format.h>

#include "cli/doctor.h"

namespace lmsb::cli {
namespace {

std::string joined(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

Finding look_sandbox(Machine& machine) {
  const SandboxTrial trial = machine.try_sandbox();
  if (!trial.works) return {Outcome::missing, trial.why, trial.hint};
  std::string detail = fmt::format("{:.1f} ms with {}", trial.wall_ms, trial.daemon);
  if (!trial.image.empty()) detail += ", image " + trial.image;
  if (!trial.isolation.empty()) detail += "; layers: " + joined(trial.isolation, ", ");
  return {Outcome::ok, detail};
}

// What the daemon misses, it says itself: the checks below have the commands.
Finding look_layers(Machine& machine) {
  const SandboxTrial trial = machine.try_sandbox();
  if (!trial.works) return {Outcome::not_needed, "there is no sandbox to ask"};
  if (trial.weaker.empty()) return {Outcome::ok, ""};
  return {Outcome::weaker, joined(trial.weaker, "; ")};
}

}  // namespace

std::vector<Check> sandbox_checks() {
  return {{"sandbox.run", "Sandboxes", "a command runs in a throw-away sandbox", look_sandbox},
          {"sandbox.layers", "Sandboxes", "every layer of isolation is in force", look_layers}};
}

}  // namespace lmsb::cli
