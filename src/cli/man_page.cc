#include "cli/man_page.h"

#include <algorithm>
#include <array>

#include "cli/command_table.h"
#include "cli/exit_status.h"
#include "cli/roff.h"
#include "config/schema.h"

namespace lmsb::cli {
namespace {

constexpr std::string_view kSettings = "lm-sandbox.toml";

constexpr std::array<Example, 16> kExamples{{
    {"Run a command in a fresh sandbox that is gone afterwards:", "lm-sandbox run -- whoami"},
    {"With less memory, less time, and your directory inside:",
     "lm-sandbox run -m 256m --timeout 30s -v .:/workspace base python3 main.py"},
    {"Say what would be made, and make nothing:", "lm-sandbox run --dry-run -- true"},
    {"Make a sandbox that is kept for a day:", "lm-sandbox create --name box --timeout 24h base"},
    {"Run a command in it:", "lm-sandbox exec box python3 -c 'print(6 * 7)'"},
    {"Start one that goes on by itself, and print its id:", "lm-sandbox exec -d box sleep 600"},
    {"Open a shell in it:", "lm-sandbox shell box"},
    {"Copy a directory into it:", "lm-sandbox cp src box:/workspace"},
    {"Write a directory of it to stdout, as a tar archive:", "lm-sandbox cp box:/workspace -"},
    {"Only the ids of those with a label:", "lm-sandbox ls -q --label team=blue"},
    {"Let it live for another week:", "lm-sandbox update --timeout 7d box"},
    {"Remove it:", "lm-sandbox rm box"},
    {"Ask a model one question:", "lm-sandbox chat tiny 'What is AI?'"},
    {"Take a model into the store:", "lm-sandbox model pull ./model.gguf"},
    {"Say where each setting comes from:", "lm-sandbox config show --origin"},
    {"Print the manual page of a command:", "lm-sandbox man image-build"},
}};

struct Fact {
  std::string_view name;
  std::string_view about;
};

constexpr std::array<Fact, 6> kEnvironment{{
    {"LM_SANDBOX_HOST", "The daemon to ask, as --host, which comes before it."},
    {"LM_SANDBOX_API_KEY", "The key that goes along with each request."},
    {"XDG_RUNTIME_DIR", "Where a daemon of your own is looked for: lm-sandbox/api.sock below it."},
    {"NO_COLOR", "When it is set, output has no colours."},
    {"MIRROR", "Where image build takes Debian packages from, as its --mirror."},
    {"LM_SANDBOX_A__B", "For serve and config: the setting a.b. See lm-sandbox.toml(5)."},
}};

constexpr std::array<Fact, 3> kFiles{{
    {"/etc/lm-sandbox/config.toml", "Settings of the daemon: lm-sandbox.toml(5)."},
    {"/var/lib/lm-sandbox", "Images, models, and what else the daemon keeps."},
    {"/run/lm-sandbox/api.sock", "The daemon's socket."},
}};

std::string name_of(const CommandEntry& entry) {
  std::string name(entry.name);
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

const CommandEntry* command_of(const Page& page) {
  const auto all = commands();
  const auto is_it = [&page](const CommandEntry& entry) { return name_of(entry) == page.topic; };
  const auto found = std::find_if(all.begin(), all.end(), is_it);
  return found == all.end() ? nullptr : &*found;
}

std::string tag_of(const FlagHelp& flag) {
  return (flag.short_name.empty() ? "" : flag.short_name + ", ") + flag.long_name +
         (flag.value_name.empty() ? "" : " " + flag.value_name);
}

void add_name(Roff& roff, const Page& page) { roff.section("NAME").paragraph(page.name + " - " + page.summary); }

void add_usage(Roff& roff, const Manual& manual) {
  roff.section("SYNOPSIS");
  for (const std::string& line : manual.usage) roff.literally("lm-sandbox " + line);
  roff.section("DESCRIPTION").paragraph(manual.summary);
}

void add_flags(Roff& roff, const Manual& manual) {
  if (manual.flags.empty()) return;
  roff.section("OPTIONS");
  for (const FlagHelp& flag : manual.flags) roff.term(tag_of(flag), flag.help + ".");
}

void add_exit_status(Roff& roff, bool as_a_command) {
  roff.section("EXIT STATUS");
  if (as_a_command) {
    roff.paragraph("The command's own; 128 and the signal's number when a signal ended it. Beside these:");
    roff.term(std::to_string(kTimeLimit), "The time limit ended the command.");
    roff.term(std::to_string(kOurFailure), "No fault of the command: the reason is on stderr.");
    roff.term("126", "The command cannot be executed.");
    roff.term("127", "There is no such command.");
    roff.term(std::to_string(kNobodyReads), "Who read the output has closed it.");
  } else {
    roff.term(std::to_string(kOk), "All was done.");
    roff.term(std::to_string(kFailed), "It failed: the reason is on stderr.");
    roff.term(std::to_string(kUsage), "It was called wrongly.");
  }
}

void add_facts(Roff& roff, std::string_view title, std::span<const Fact> facts) {
  roff.section(title);
  for (const Fact& fact : facts) roff.term(fact.name, fact.about);
}

// Those of the command `name`; "" = all.
void add_examples(Roff& roff, std::string_view name) {
  const std::string begin = "lm-sandbox " + std::string(name);
  bool is_first = true;
  for (const Example& example : kExamples) {
    if (!name.empty() && !example.line.starts_with(begin + " ")) continue;
    if (is_first) roff.section("EXAMPLES");
    is_first = false;
    roff.example(example.what, example.line);
  }
}

std::string command_page(const Page& page, const CommandEntry& entry) {
  const Manual manual = manual_of(entry);
  Roff roff(page.name, page.section);
  add_name(roff, page);
  add_usage(roff, manual);
  add_flags(roff, manual);
  add_exit_status(roff, ends_as_a_command_does({std::string(entry.name)}));
  add_examples(roff, entry.name);
  roff.section("SEE ALSO").paragraph("lm-sandbox(1), lm-sandbox.toml(5)");
  return std::move(roff).str();
}

void add_commands(Roff& roff) {
  roff.section("COMMANDS");
  std::string_view group;
  for (const CommandEntry& entry : commands()) {
    if (entry.group.empty()) continue;
    if (entry.group != group) roff.subsection(entry.group);
    group = entry.group;
    roff.term(entry.name, std::string(entry.summary) + ": lm-sandbox-" + name_of(entry) + "(1).");
  }
}

std::string program_page(const Page& page) {
  const Manual manual = ProgramFlags().set.help();
  Roff roff(page.name, page.section);
  add_name(roff, page);
  add_usage(roff, manual);
  add_flags(roff, manual);
  add_commands(roff);
  roff.section("EXIT STATUS")
      .paragraph("run, exec, shell and attach end as the command inside did; others with 0, 1 or 2: see their pages.");
  roff.section("NAMES").paragraph(
      "A sandbox, snapshot or volume is named by its id, by its name, or by the beginning of its id where no "
      "other id begins so. Snapshots of several sandboxes may have one name: then by the id, but for rollback, "
      "which means the sandbox's own.");
  roff.section("OUTPUT FOR PROGRAMS")
      .paragraph(
          "With --json a command prints what the API answers (docs/user/json.md): an object for each thing that is "
          "named, one after the other; for lists, and stats of all, one object {\"data\": [...]}; of what is "
          "followed (events, watch, logs -f) one object a line. Where the API answers nothing (rm, kill), or "
          "a file (snapshot export), an object says what was done. Errors go to stderr, as text.");
  add_facts(roff, "ENVIRONMENT", kEnvironment);
  add_facts(roff, "FILES", kFiles);
  add_examples(roff, "");
  roff.section("SEE ALSO").paragraph("lm-sandbox.toml(5)");
  return std::move(roff).str();
}

void add_setting(Roff& roff, const config::Setting& setting) {
  static const config::Config defaults;
  roff.term(setting.key, setting.about);
  roff.paragraph_in("Allowed: " + config::allowed(setting) + ". Default: " + config::render(defaults, setting) + ".");
  roff.paragraph_in("Variable: " + config::environment_name(setting) + ".");
}

std::string settings_page(const Page& page) {
  Roff roff(page.name, page.section);
  add_name(roff, page);
  roff.section("SYNOPSIS").literally("/etc/lm-sandbox/config.toml");
  roff.section("DESCRIPTION")
      .paragraph(
          "What lm-sandbox serve reads when it starts, in TOML. The key a.b is b in the section [a]. A flag comes "
          "before "
          "a variable of the environment, which comes before the file. lm-sandbox config example prints a complete "
          "file, config check says what is wrong with one, config show what is in force.");
  roff.section("SETTINGS");
  for (const config::Setting& setting : config::settings()) add_setting(roff, setting);
  roff.section("SEE ALSO").paragraph("lm-sandbox(1), lm-sandbox-serve(1), lm-sandbox-config-show(1)");
  return std::move(roff).str();
}

}  // namespace

std::span<const Example> examples() { return kExamples; }

std::vector<Page> all_pages() {
  std::vector<Page> pages{{"lm-sandbox", 1, "lm-sandbox", "isolated Linux sandboxes and local language models"}};
  for (const CommandEntry& entry : commands()) {
    if (!entry.group.empty())
      pages.push_back({"lm-sandbox-" + name_of(entry), 1, name_of(entry), std::string(entry.summary)});
  }
  pages.push_back({std::string(kSettings), 5, std::string(kSettings), "settings of the lm-sandbox daemon"});
  return pages;
}

std::string page_text(const Page& page) {
  if (page.topic == kSettings) return settings_page(page);
  const CommandEntry* entry = command_of(page);
  return entry == nullptr ? program_page(page) : command_page(page, *entry);
}

}  // namespace lmsb::cli
