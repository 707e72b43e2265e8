#pragma once
// FlagSet: the flags of one command: what they are called, where their values go, and the manual made of both.
//
// Two orders: with `Order::first`, flags end at the first word that is none, and everything from there on belongs to
// the command that is to be run (Docker's `run`); with `Order::anywhere` flags and words mix. Words after "--" are
// never flags. A value that is given twice counts the last time. Borrowed references outlive the FlagSet.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/manual.h"

namespace lmsb::cli {

class FlagSet {
 public:
  enum class Order : std::uint8_t { first, anywhere };

  // `usage` are one or more lines after "lm-sandbox ", for example "rm [OPTIONS] SANDBOX [SANDBOX...]".
  FlagSet(std::string command, Words usage, std::string summary, Order order);
  ~FlagSet();
  FlagSet(const FlagSet&) = delete;
  FlagSet& operator=(const FlagSet&) = delete;

  // `names` are "-e,--env" or "--json"; of several long ones the help shows the first.
  void flag(const std::string& names, bool& target, const std::string& help);
  void value(const std::string& names, const std::string& value_name, std::optional<std::string>& target,
             const std::string& help);
  void values(const std::string& names, const std::string& value_name, Words& target, const std::string& help);
  // A flag that users of Docker know and that is not here yet: using it is an error that says so. Not in the help.
  void not_yet(const std::string& names, bool takes_value);
  // A flag that users of Docker know and that will not be here: using it is an error whose hint says what to do
  // instead. Not in the help.
  void instead(const std::string& names, bool takes_value, const std::string& hint);

  // Flags, by their long names, of which a call may have one alone: an error names two that were given.
  void one_of(Words names);

  struct Parsed {
    bool help = false;    // -h or --help was given; nothing else counts then
    bool dashes = false;  // the words stand behind "--"
    Words words;
  };
  // Fills the targets. Errors: invalid_argument (unknown flag, value missing, two that do not go together, another way
  // to say it), unsupported (not yet).
  Result<Parsed> parse(const Words& arguments);

  // What --help shows: the flags by name, --help among them.
  Manual help() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The one of `known` that `word` is most likely a misspelling of (at most two edits away); nothing when none is near.
std::optional<std::string> nearest(std::string_view word, const Words& known);

}  // namespace lmsb::cli
