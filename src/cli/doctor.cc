#include "cli/doctor.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "json/writer.h"

namespace lmsb::cli {
namespace {

constexpr std::string_view kSandboxCheck = "sandbox.run";

std::size_t count(const std::vector<Examined>& examined, Outcome outcome) {
  return static_cast<std::size_t>(std::count_if(
      examined.begin(), examined.end(), [outcome](const Examined& entry) { return entry.finding.outcome == outcome; }));
}

Color color_of(Outcome outcome) {
  static constexpr std::array<Color, 4> kColors{Color::green, Color::yellow, Color::red, Color::dim};
  return kColors[static_cast<std::size_t>(outcome)];
}

std::string summary(const std::vector<Examined>& examined) {
  std::string text = sandboxes_work(examined) ? "Sandboxes work." : "Sandboxes do not work.";
  const std::size_t weaker = count(examined, Outcome::weaker);
  const std::size_t missing = count(examined, Outcome::missing);
  if (weaker > 0) text += " Weaker than could be: " + std::to_string(weaker) + ".";
  if (missing > 0) text += " Missing: " + std::to_string(missing) + ".";
  return text;
}

void append_entry(std::string& text, const Examined& entry, const Console& console) {
  constexpr std::size_t kOutcomeWidth = 11;
  const std::string outcome(to_string(entry.finding.outcome));
  text += "  " + colored(console, color_of(entry.finding.outcome), outcome) +
          std::string(kOutcomeWidth - outcome.size(), ' ') + entry.check.wants;
  if (!entry.finding.detail.empty()) text += ": " + printable(entry.finding.detail);
  text += "\n";
  if (!entry.finding.mend.empty()) text += std::string(kOutcomeWidth + 4, ' ') + printable(entry.finding.mend) + "\n";
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  static constexpr std::array<std::string_view, 4> kNames{"ok", "weaker", "missing", "not needed"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::vector<Check> all_checks() {
  std::vector<Check> all = sandbox_checks();
  for (auto part : {kernel_checks(), hardening_checks(), original_checks()}) {
    std::move(part.begin(), part.end(), std::back_inserter(all));
  }
  return all;
}

std::vector<Examined> examine(const std::vector<Check>& checks, Machine& machine) {
  std::vector<Examined> examined;
  for (const Check& check : checks) examined.push_back({check, check.look(machine)});
  return examined;
}

bool sandboxes_work(const std::vector<Examined>& examined) {
  return std::any_of(examined.begin(), examined.end(), [](const Examined& entry) {
    return entry.check.id == kSandboxCheck && entry.finding.outcome == Outcome::ok;
  });
}

std::string format_report(const std::vector<Examined>& examined, const Console& console) {
  std::string text;
  std::string group;
  for (const Examined& entry : examined) {
    if (entry.check.group != group) text += (text.empty() ? "" : "\n") + entry.check.group + "\n";
    group = entry.check.group;
    append_entry(text, entry, console);
  }
  return text + "\n" + summary(examined) + "\n";
}

std::string report_as_json(const std::vector<Examined>& examined) {
  json::Writer writer;
  writer.begin_object().key("sandboxes_work").boolean(sandboxes_work(examined)).key("checks").begin_array();
  for (const auto& [check, finding] : examined) {
    std::string outcome(to_string(finding.outcome));
    std::replace(outcome.begin(), outcome.end(), ' ', '_');
    writer.begin_object().key("id").string(check.id).key("group").string(check.group).key("wants").string(check.wants);
    writer.key("outcome")
        .string(outcome)
        .key("detail")
        .string(finding.detail)
        .key("mend")
        .string(finding.mend)
        .end_object();
  }
  return std::move(writer.end_array().end_object()).str();
}

}  // namespace lmsb::cli
