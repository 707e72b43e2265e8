#include "cli/flag_set.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/text.h"

namespace lmsb::cli {
namespace {

FlagHelp flag_help(const std::string& names, const std::string& value_name, const std::string& help) {
  FlagHelp flag{"", "", value_name, help};
  for (std::size_t begin = 0; begin < names.size();) {
    const std::size_t end = std::min(names.find(',', begin), names.size());
    const std::string name = names.substr(begin, end - begin);
    std::string& place = name.starts_with("--") ? flag.long_name : flag.short_name;
    if (place.empty()) place = name;
    begin = end + 1;
  }
  if (flag.long_name.empty()) flag.long_name = std::exchange(flag.short_name, "");
  return flag;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

// CLI11 leaves the '=' of "-m=1g" in the value. No value of ours begins with one.
void drop_equals_sign(std::string& value) {
  if (value.starts_with('=')) value.erase(0, 1);
}

bool looks_like_flag(const std::string& word) { return word.size() > 1 && word[0] == '-' && word != "--"; }

}  // namespace

struct FlagSet::State {
  State(std::string command_name, Words usage_lines, std::string summary_line, Order flag_order)
      : command(std::move(command_name)),
        usage(std::move(usage_lines)),
        summary(std::move(summary_line)),
        order(flag_order) {
    app.set_help_flag();
    app.allow_extras();
    if (order == Order::first) app.prefix_command();
    app.add_flag("-h,--help", help_wanted);
  }

  Error usage_error(std::string message) const {
    const std::string where = command.empty() ? "" : command + ": ";
    return Error(ErrorCode::invalid_argument, where + std::move(message)).with_hint("see " + help_command());
  }
  Error unknown_flag(const std::string& word) const {
    Words known;
    for (const FlagHelp& flag : flags) known.push_back(flag.long_name);
    const auto near = nearest(word, known);
    return usage_error("unknown flag " + lmsb::quoted(word) + (near ? ", perhaps " + *near : ""));
  }
  Status refuse_others_flags() const {
    for (const OthersFlag& flag : others) {
      if (flag.option->count() == 0) continue;
      if (!flag.hint.empty())
        return Error(ErrorCode::invalid_argument, command + ": there is no " + flag.name + " here")
            .with_hint(flag.hint);
      return Error(ErrorCode::unsupported, "not yet: " + flag.name)
          .with_hint(help_command() + " lists what works today");
    }
    return {};
  }
  Status refuse_several() const {
    for (const Words& names : one_of) {
      Words given;
      std::copy_if(names.begin(), names.end(), std::back_inserter(given),
                   [this](const std::string& name) { return app.count(name) > 0; });
      if (given.size() > 1) return usage_error(given[0] + " and " + given[1] + " do not go together");
    }
    return {};
  }
  void add_others_flag(const std::string& names, bool takes_value, const std::string& hint) {
    static const std::function<void(const std::string&)> kIgnore = [](const std::string&) {};
    CLI::Option* option = takes_value ? app.add_option_function<std::string>(names, kIgnore)
                                            ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
                                      : app.add_flag(names);
    others.push_back({option, flag_help(names, "", "").long_name, hint});
  }
  std::string help_command() const { return "lm-sandbox " + (command.empty() ? "" : command + " ") + "--help"; }

  std::string command;
  Words usage;
  std::string summary;
  Order order;
  CLI::App app;
  bool help_wanted = false;
  std::vector<FlagHelp> flags;
  std::vector<Words> one_of;
  // One that others have; its option belongs to app.
  struct OthersFlag {
    CLI::Option* option;
    std::string name;  // the long one
    std::string hint;  // what to do instead; "" = it is still to come
  };
  std::vector<OthersFlag> others;
};

FlagSet::FlagSet(std::string command, Words usage, std::string summary, Order order)
    : state_(std::make_unique<State>(std::move(command), std::move(usage), std::move(summary), order)) {}
FlagSet::~FlagSet() = default;

void FlagSet::flag(const std::string& names, bool& target, const std::string& help) {
  state_->app.add_flag(names, target);
  state_->flags.push_back(flag_help(names, "", help));
}

void FlagSet::value(const std::string& names, const std::string& value_name, std::optional<std::string>& target,
                    const std::string& help) {
  const auto set = [&target](std::string text) {
    drop_equals_sign(text);
    target = std::move(text);
  };
  state_->app.add_option_function<std::string>(names, set)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->type_name(value_name);
  state_->flags.push_back(flag_help(names, value_name, help));
}

void FlagSet::values(const std::string& names, const std::string& value_name, Words& target, const std::string& help) {
  const auto set = [&target](Words texts) {
    std::for_each(texts.begin(), texts.end(), drop_equals_sign);
    target = std::move(texts);
  };
  state_->app.add_option_function<Words>(names, set)->allow_extra_args(false)->type_name(value_name);
  state_->flags.push_back(flag_help(names, value_name, help));
}

void FlagSet::not_yet(const std::string& names, bool takes_value) { state_->add_others_flag(names, takes_value, ""); }

void FlagSet::instead(const std::string& names, bool takes_value, const std::string& hint) {
  state_->add_others_flag(names, takes_value, hint);
}

void FlagSet::one_of(Words names) { state_->one_of.push_back(std::move(names)); }

Result<FlagSet::Parsed> FlagSet::parse(const Words& arguments) {
  Parsed parsed;
  try {
    state_->app.parse(Words(arguments.rbegin(), arguments.rend()));  // CLI11 takes them from the back
  } catch (const CLI::ParseError& error) {
    if (!state_->help_wanted) return state_->usage_error(error.what());
  }
  if (state_->help_wanted) {
    parsed.help = true;
    return parsed;
  }
  LMSB_CHECK(state_->refuse_others_flags());
  LMSB_CHECK(state_->refuse_several());
  for (std::string& word : state_->app.remaining()) {
    const bool may_be_flag = !parsed.dashes && (state_->order == Order::anywhere || parsed.words.empty());
    if (may_be_flag && looks_like_flag(word)) return state_->unknown_flag(word);
    if (may_be_flag && word == "--") {
      parsed.dashes = true;
    } else {
      parsed.words.push_back(std::move(word));
    }
  }
  return parsed;
}

Manual FlagSet::help() const {
  std::vector<FlagHelp> flags = state_->flags;
  flags.push_back({"-h", "--help", "", "Show this text"});
  std::sort(flags.begin(), flags.end(), [](const FlagHelp& a, const FlagHelp& b) { return a.long_name < b.long_name; });
  return {state_->command, state_->usage, state_->summary, std::move(flags)};
}

std::optional<std::string> nearest(std::string_view word, const Words& known) {
  std::optional<std::string> best;
  std::size_t best_distance = 3;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= best_distance || distance >= candidate.size()) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

}  // namespace lmsb::cli
