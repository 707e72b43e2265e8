#include "cli/flag_set.h"

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

struct Flags {
  explicit Flags(FlagSet::Order order) : set("try", {"try [OPTIONS] IMAGE COMMAND [ARG...]"}, "Try something", order) {
    set.flag("-i,--interactive", interactive, "Pass on stdin");
    set.value("-m,--memory", "SIZE", memory, "Memory limit");
    set.values("-e,--env", "KEY=VALUE", env, "Set a variable");
    set.not_yet("-t,--tty", false);
    set.not_yet("--gpus", true);
    set.instead("--since,--until", true, "use --last");
    set.value("-p,--pids,--pids-limit", "NUMBER", pids, "Processes");
  }
  bool interactive = false;
  std::optional<std::string> memory;
  std::optional<std::string> pids;
  Words env;
  FlagSet set;
};

using Order = FlagSet::Order;

TEST(FlagSet, TakesNoMoreThanOneWordForARepeatedFlag) {
  Flags flags(Order::first);
  const auto parsed = flags.set.parse({"-e", "A=1", "-e", "B=2", "image", "sh"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(flags.env, (Words{"A=1", "B=2"}));
  EXPECT_EQ(parsed->words, (Words{"image", "sh"}));
}

TEST(FlagSet, LeavesTheFlagsOfTheCommandToTheCommand) {
  Flags flags(Order::first);
  const auto parsed = flags.set.parse({"-i", "image", "sh", "-m", "--memory", "--", "--help", "-e"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(flags.interactive);
  EXPECT_FALSE(flags.memory.has_value());
  EXPECT_FALSE(parsed->dashes);
  EXPECT_FALSE(parsed->help);
  EXPECT_EQ(parsed->words, (Words{"image", "sh", "-m", "--memory", "--", "--help", "-e"}));
}

TEST(FlagSet, TellsWordsBehindDashesFromOthers) {
  Flags flags(Order::first);
  const auto parsed = flags.set.parse({"-m", "1g", "--", "-x", "--", "y"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed->dashes);
  EXPECT_EQ(parsed->words, (Words{"-x", "--", "y"}));
}

TEST(FlagSet, MixesFlagsAndWordsWhereTheOrderIsFree) {
  Flags flags(Order::anywhere);
  const auto parsed = flags.set.parse({"one", "-m=2g", "two", "--env=C=3", "-e=D=4"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->words, (Words{"one", "two"}));
  EXPECT_EQ(flags.memory, "2g");
  EXPECT_EQ(flags.env, (Words{"C=3", "D=4"}));
}

TEST(FlagSet, KeepsOddValuesAsTheyAre) {
  Flags flags(Order::first);
  const auto parsed = flags.set.parse({"-e", "A=\"x y\",[1]{2} %d", "-eB=", "-e", "-C=--", "", "{}"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(flags.env, (Words{"A=\"x y\",[1]{2} %d", "B=", "-C=--"}));
  EXPECT_EQ(parsed->words, (Words{"", "{}"}));
}

TEST(FlagSet, CountsTheLastOfTwoValues) {
  Flags flags(Order::first);
  ASSERT_TRUE(flags.set.parse({"-m", "1g", "--memory", "2g"}).ok());
  EXPECT_EQ(flags.memory, "2g");
}

TEST(FlagSet, NamesAnUnknownFlagAndANearOne) {
  const auto parsed = Flags(Order::first).set.parse({"--memori", "1g", "image"});
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().message(), "try: unknown flag \"--memori\", perhaps --memory");
  EXPECT_EQ(parsed.error().hint(), "see lm-sandbox try --help");
}

TEST(FlagSet, SaysWhichFlagLacksItsValue) {
  const auto parsed = Flags(Order::first).set.parse({"--memory"});
  ASSERT_FALSE(parsed.ok());
  EXPECT_NE(parsed.error().message().find("--memory"), std::string::npos);
}

TEST(FlagSet, SaysNotYetForFlagsOfLater) {
  for (const Words& words : {Words{"-it", "image"}, Words{"--gpus", "all", "image"}, Words{"--gpus=all", "image"}}) {
    const auto parsed = Flags(Order::first).set.parse(words);
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().code(), ErrorCode::unsupported);
    EXPECT_TRUE(parsed.error().message().starts_with("not yet: --")) << parsed.error().message();
  }
}

TEST(FlagSet, HelpLooksLikeDockers) {
  EXPECT_EQ(help_text(Flags(Order::first).set.help()),
            "Usage:  lm-sandbox try [OPTIONS] IMAGE COMMAND [ARG...]\n"
            "\n"
            "Try something\n"
            "\n"
            "Options:\n"
            "  -e, --env KEY=VALUE   Set a variable\n"
            "  -h, --help            Show this text\n"
            "  -i, --interactive     Pass on stdin\n"
            "  -m, --memory SIZE     Memory limit\n"
            "  -p, --pids NUMBER     Processes\n");
  const auto parsed = Flags(Order::first).set.parse({"-h"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed->help);
}

TEST(Nearest, IsAtMostTwoEditsAway) {
  EXPECT_EQ(nearest("creat", {"run", "create"}), "create");
  EXPECT_EQ(nearest("rnu", {"run", "create"}), "run");
  EXPECT_EQ(nearest("frobnicate", {"run", "create"}), std::nullopt);
}

TEST(FlagSet, SaysWhatToDoInsteadOfAFlagThatOthersHave) {
  for (const Words& words : {Words{"--since", "1h", "x"}, Words{"--until=2h", "x"}}) {
    Flags flags(Order::anywhere);
    const auto parsed = flags.set.parse(words);
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().message(), "try: there is no --since here");
    EXPECT_EQ(parsed.error().hint(), "use --last");
  }
}

TEST(FlagSet, ShowsOneOfSeveralSpellingsAndTakesAll) {
  for (const char* name : {"-p", "--pids", "--pids-limit"}) {
    Flags flags(Order::anywhere);
    ASSERT_TRUE(flags.set.parse({name, "5"}).ok()) << name;
    EXPECT_EQ(flags.pids, "5");
  }
  for (const FlagHelp& flag : Flags(Order::anywhere).set.help().flags)
    EXPECT_TRUE(flag.long_name != "--pids" || flag.short_name == "-p");
  EXPECT_EQ(help_text(Flags(Order::anywhere).set.help()).find("--pids-limit"), std::string::npos);
}

}  // namespace
}  // namespace lmsb::cli
