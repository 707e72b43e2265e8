#pragma once
// doctor: says what works on this machine, what is weaker, what is missing, and the exact command that mends it.
//
// A table of checks. Each looks at one thing through Machine and says one Finding; that sandboxes work is decided by
// making one.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"
#include "cli/machine.h"

namespace lmsb::cli {

enum class Outcome : std::uint8_t {
  ok,
  weaker,      // sandboxes work, but something around them could be closed better
  missing,     // it is not there; whether sandboxes still work is for the sandbox's own check to say
  not_needed,  // it is not there and nothing here needs it
};
std::string_view to_string(Outcome outcome);  // "not needed"

struct Finding {
  Finding(Outcome o, std::string d, std::string m = {}) : outcome(o), detail(std::move(d)), mend(std::move(m)) {}
  Outcome outcome;
  std::string detail;  // what was found
  std::string mend;    // a command, or what to do in words; empty when there is nothing to do
};

struct Check {
  std::string id;     // stable: "kernel.version"
  std::string group;  // heading
  std::string wants;  // what should be so
  std::function<Finding(Machine&)> look;
};

// The parts of the table (doctor_checks_*.cc).
std::vector<Check> sandbox_checks();
std::vector<Check> kernel_checks();
std::vector<Check> hardening_checks();
std::vector<Check> original_checks();
// All of it, in the order in which it is shown.
std::vector<Check> all_checks();

struct Examined {
  Check check;
  Finding finding;
};
std::vector<Examined> examine(const std::vector<Check>& checks, Machine& machine);

// Whether the check that makes a sandbox found that it works.
bool sandboxes_work(const std::vector<Examined>& examined);

std::string format_report(const std::vector<Examined>& examined, const Console& console);
// As JSON text.
std::string report_as_json(const std::vector<Examined>& examined);

}  // namespace lmsb::cli
