#include "cli/completion.h"

#include <algorithm>
#include <set>

#include "cli/command_table.h"
#include "cli/man_page.h"

namespace lmsb::cli {
namespace {

void offer(Completion& completion, const std::string& typed, const std::string& word, std::string_view about = "") {
  if (word.starts_with(typed)) completion.candidates.push_back({word, std::string(about)});
}

void offer_flags(Completion& completion, const Manual& manual, const std::string& typed) {
  for (const FlagHelp& flag : manual.flags) offer(completion, typed, flag.long_name, flag.help);
}

const FlagHelp* find_flag(const Manual& manual, const std::string& name) {
  const auto is_it = [&name](const FlagHelp& flag) { return flag.long_name == name || flag.short_name == name; };
  const auto found = std::find_if(manual.flags.begin(), manual.flags.end(), is_it);
  return found == manual.flags.end() ? nullptr : &*found;
}

bool looks_like_flag(const std::string& word) { return word.size() > 1 && word[0] == '-' && word != "--"; }

void offer_pages(Completion& completion, const std::string& typed) {
  for (const Page& page : all_pages()) offer(completion, typed, page.topic, page.summary);
}

// What `kind`, a value name or a word of a usage line such as "FILE|URL|NAME", allows.
void offer_kind(Completion& completion, const std::string& kind, const std::string& typed) {
  for (const std::string& choice : choices_of(kind)) offer(completion, typed, choice);
  const bool has_colon = typed.find(':') != std::string::npos;
  const auto ask = [&](Names names) {
    completion.names = names;
    completion.name_prefix = typed;
  };
  if (kind == "SANDBOX") ask(Names::sandboxes);
  if (kind == "IMAGE") ask(Names::images);
  if (kind == "MODEL") ask(Names::models);
  if (kind == "PROCESS") ask(Names::processes);
  if (kind == "SESSION") ask(Names::sessions);
  if (kind == "SNAPSHOT") ask(Names::snapshots);
  if (kind == "VOLUME") ask(Names::volumes);
  if (kind == "KEY") ask(Names::keys);
  if (kind == "PAGE") offer_pages(completion, typed);
  if (kind.starts_with("SRC:") && !has_colon) {  // of -v, which takes volumes, too
    ask(Names::volumes);
    completion.behind = ":";
  }
  if (kind == "DIR" || (kind.starts_with("SRC:") && !has_colon)) completion.directories = true;
  if (kind == "FILE" || kind == "FILE|URL|NAME" || ((kind == "SRC" || kind == "DEST") && !has_colon))
    completion.files = true;
  if (kind.starts_with("SANDBOX:") && !has_colon) {
    ask(Names::sandboxes);
    completion.behind = ":";
  }
}

// "[SANDBOX...]" is SANDBOX, and again.
struct UsageWord {
  explicit UsageWord(std::string text) {
    std::erase_if(text, [](char c) { return c == '[' || c == ']'; });
    again = text.ends_with("...");
    kind = again ? text.substr(0, text.size() - 3) : text;
  }
  std::string kind;
  bool again = false;
};

// The words of a usage line behind the command and its options.
std::vector<UsageWord> usage_words(const std::string& line, const std::string& command) {
  std::vector<UsageWord> words;
  for (std::size_t begin = command.size() + 1; begin < line.size();) {
    const std::size_t end = std::min(line.find(' ', begin), line.size());
    const std::string text = line.substr(begin, end - begin);
    if (text != "[OPTIONS]" && text != "--" && !text.starts_with('-')) words.emplace_back(text);
    begin = end + 1;
  }
  return words;
}

// What has been read of a command's words before the one that is typed.
struct Reading {
  std::vector<std::string> positionals;
  const FlagHelp* flag = nullptr;  // whose value is typed
  bool dashes = false;
  std::string host;
  std::string ca;
};

// From the first word on, all of run's and exec's belong to the command inside.
bool ends_flags_at_words(const Manual& manual) { return manual.usage.front().ends_with("COMMAND [ARG...]"); }

bool flags_may_follow(const Reading& reading, const Manual& manual) {
  return !reading.dashes && (reading.positionals.empty() || !ends_flags_at_words(manual));
}

void read_word(Reading& reading, const Manual& manual, const std::string& word) {
  if (reading.flag != nullptr) {
    if (reading.flag->long_name == "--host") reading.host = word;
    if (reading.flag->long_name == "--ca") reading.ca = word;
    reading.flag = nullptr;
  } else if (!flags_may_follow(reading, manual)) {
    reading.positionals.push_back(word);
  } else if (word == "--") {
    reading.dashes = true;
  } else if (!looks_like_flag(word)) {
    reading.positionals.push_back(word);
  } else if (word.starts_with("--host=")) {
    reading.host = word.substr(word.find('=') + 1);
  } else if (word.starts_with("--ca=")) {
    reading.ca = word.substr(word.find('=') + 1);
  } else {
    const FlagHelp* flag = find_flag(manual, word);
    if (flag != nullptr && !flag->value_name.empty()) reading.flag = flag;
  }
}

// "--flag=begin": candidates are the whole word, as shells want it.
void offer_joined_value(Completion& completion, const Manual& manual, const std::string& typed) {
  const std::size_t equals = typed.find('=');
  const FlagHelp* flag = find_flag(manual, typed.substr(0, equals));
  if (flag == nullptr || flag->value_name.empty()) return;
  for (const std::string& choice : choices_of(flag->value_name))
    offer(completion, typed, typed.substr(0, equals + 1) + choice);
}

void offer_positional(Completion& completion, const Reading& reading, const Manual& manual, const std::string& typed) {
  const std::size_t place = reading.positionals.size();
  const auto first = usage_words(manual.usage.front(), manual.command);
  if (place > 0 && !first.empty() && first.front().kind == "SANDBOX") completion.sandbox = reading.positionals.front();
  for (const std::string& line : manual.usage) {
    const bool has_dashes = line.find(" -- ") != std::string::npos;
    if (has_dashes != reading.dashes && ends_flags_at_words(manual)) continue;
    const auto words = usage_words(line, manual.command);
    if (place < words.size()) {
      offer_kind(completion, words[place].kind, typed);
    } else if (!words.empty() && words.back().again) {
      offer_kind(completion, words.back().kind, typed);
    }
  }
}

Completion complete_command(const Manual& manual, const Words& before, const std::string& typed) {
  Completion completion;
  Reading reading;
  for (const std::string& word : before) read_word(reading, manual, word);
  completion.host = reading.host;
  completion.ca = reading.ca;
  if (reading.flag != nullptr) {
    offer_kind(completion, reading.flag->value_name, typed);
  } else if (typed.starts_with('-') && flags_may_follow(reading, manual)) {
    if (typed.find('=') != std::string::npos) {
      offer_joined_value(completion, manual, typed);
    } else {
      offer_flags(completion, manual, typed);
    }
  } else {
    offer_positional(completion, reading, manual, typed);
  }
  return completion;
}

// The first words of commands, or the second ones of the group that `words` name.
Completion complete_name(const Words& words, const std::string& typed) {
  Completion completion;
  std::set<std::string> seen;
  const std::string group = words.empty() ? "" : words.front() + " ";
  for (const CommandEntry& entry : commands()) {
    if (entry.group.empty() || words.size() > 1 || !entry.name.starts_with(group)) continue;
    const std::string rest(entry.name.substr(group.size()));
    const std::size_t space = rest.find(' ');
    const bool is_whole = space == std::string::npos;
    if (seen.insert(rest.substr(0, space)).second)
      offer(completion, typed, rest.substr(0, space), is_whole ? entry.summary : entry.group);
  }
  return completion;
}

}  // namespace

Completion complete(const Words& words) {
  const std::string typed = words.empty() ? "" : words.back();
  Words before(words.begin(), words.end() - (words.empty() ? 0 : 1));
  const Manual program = ProgramFlags().set.help();
  Reading reading;
  std::size_t read = 0;
  while (read < before.size() && reading.positionals.empty()) read_word(reading, program, before[read++]);
  if (reading.flag != nullptr) return {};
  if (reading.positionals.empty() && typed.starts_with('-')) return complete_command(program, {}, typed);
  before.erase(before.begin(), before.begin() + static_cast<Words::difference_type>(read - reading.positionals.size()));
  if (!before.empty() && before.front() == "help") {
    before.erase(before.begin());
    return complete_name(before, typed);
  }
  const auto [entry, count] = find_command(before);
  if (entry == nullptr) return complete_name(before, typed);
  before.erase(before.begin(), before.begin() + static_cast<Words::difference_type>(count));
  Completion completion = complete_command(manual_of(*entry), before, typed);
  if (before.empty() && count == 1)  // `snapshot` is a command, and a group of others
    for (Candidate& second : complete_name({std::string(entry->name)}, typed).candidates)
      completion.candidates.push_back(std::move(second));
  if (completion.host.empty()) completion.host = reading.host;
  if (completion.ca.empty()) completion.ca = reading.ca;
  return completion;
}

}  // namespace lmsb::cli
