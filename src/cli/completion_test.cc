#include "cli/completion.h"

#include <gtest/gtest.h>

#include "cli/command_table.h"

namespace lmsb::cli {
namespace {

Words offered(const Words& words) {
  Words result;
  for (const Candidate& candidate : complete(words).candidates) result.push_back(candidate.word);
  return result;
}

TEST(Completion, OffersCommandsByTheirFirstWordsThenTheSecond) {
  EXPECT_EQ(offered({"conf"}), Words{"config"});
  EXPECT_EQ(offered({"image", ""}), (Words{"build", "ls", "rm"}));
  EXPECT_EQ(offered({"help", "model", "pu"}), Words{"pull"});
  EXPECT_EQ(offered({"--host", "unix:/a", "doc"}), Words{"doctor"});
  EXPECT_EQ(offered({"frob", ""}), Words{});
}

TEST(Completion, HidesAliasesAndWhatIsNotForPeople) {
  EXPECT_EQ(offered({"ps"}), Words{});
  EXPECT_EQ(offered({"__"}), Words{});
}

TEST(Completion, OffersEveryFlagOfEveryCommand) {
  for (const CommandEntry& entry : commands()) {
    if (entry.group.empty()) continue;
    Words words{std::string(entry.name), "--"};
    const std::size_t space = words[0].find(' ');
    if (space != std::string::npos) words = {words[0].substr(0, space), words[0].substr(space + 1), "--"};
    Words all;
    for (const FlagHelp& flag : manual_of(entry).flags) all.push_back(flag.long_name);
    EXPECT_EQ(offered(words), all) << entry.name;
  }
}

TEST(Completion, OffersWhatAFlagMayBeSetTo) {
  EXPECT_EQ(offered({"create", "--on-idle", ""}), (Words{"stop", "pause", "delete"}));
  EXPECT_EQ(offered({"create", "--on-idle=d"}), Words{"--on-idle=delete"});
  EXPECT_EQ(offered({"serve", "--log-format", "j"}), Words{"json"});
  EXPECT_TRUE(complete({"run", "--data-dir", ""}).directories);
  EXPECT_TRUE(complete({"run", "-v", "/sr"}).directories);
  EXPECT_FALSE(complete({"run", "-v", "/srv:/in"}).directories);
  EXPECT_TRUE(complete({"run", "--env-file", ""}).files);
  EXPECT_EQ(offered({"run", "--memory", ""}), Words{});
}

TEST(Completion, OffersTheWordsOfAGroupBehindACommandOfItsName) {
  EXPECT_EQ(offered({"snapshot", ""}), (Words{"ls", "inspect", "rm", "export", "import"}));
  EXPECT_EQ(complete({"snapshot", ""}).names, Names::sandboxes);
  EXPECT_EQ(offered({"snapshot", "box", ""}), Words{});
  EXPECT_EQ(offered({"ls", "frob", ""}), Words{});
}

TEST(Completion, AsksForSnapshotsOfTheSandboxThatIsNamed) {
  EXPECT_EQ(complete({"rollback", "box", "snp"}).names, Names::snapshots);
  EXPECT_EQ(complete({"rollback", "box", "snp"}).sandbox, "box");
  EXPECT_EQ(complete({"snapshot", "rm", "a", ""}).names, Names::snapshots);
  EXPECT_EQ(complete({"snapshot", "rm", "a", ""}).sandbox, "");
  EXPECT_EQ(complete({"create", "--snapshot", ""}).names, Names::snapshots);
}

TEST(Completion, AsksForSandboxesWhereTheUsageNamesOne) {
  for (const Words& words : {Words{"rm", "bo"}, Words{"rm", "a", "bo"}, Words{"exec", "-e", "A=1", "bo"},
                             Words{"stats", "--json", "bo"}, Words{"rm", "--", "bo"}}) {
    EXPECT_EQ(complete(words).names, Names::sandboxes) << words[0];
    EXPECT_EQ(complete(words).name_prefix, "bo");
  }
  EXPECT_EQ(complete({"update", "box", ""}).names, Names::none);
}

TEST(Completion, AsksForTheProcessesOfTheSandboxThatIsNamed) {
  const auto completion = complete({"kill", "-s", "TERM", "box", "prc_1", ""});
  EXPECT_EQ(completion.names, Names::processes);
  const auto session = complete({"session", "rm", "box", ""});
  EXPECT_EQ(session.names, Names::sessions);
  EXPECT_EQ(session.sandbox, "box");
  EXPECT_EQ(completion.sandbox, "box");
}

TEST(Completion, OffersNothingOfACommandInside) {
  for (const Words& words : {Words{"run", "base", "--"}, Words{"exec", "box", ""}, Words{"exec", "box", "ls", "-"},
                             Words{"run", "--", ""}}) {
    const auto completion = complete(words);
    EXPECT_TRUE(completion.candidates.empty() && completion.names == Names::none) << words[0];
  }
  EXPECT_EQ(complete({"run", ""}).names, Names::images);
}

TEST(Completion, OffersFilesAndSandboxesToCp) {
  const auto either = complete({"cp", ""});
  EXPECT_TRUE(either.files);
  EXPECT_EQ(either.names, Names::sandboxes);
  EXPECT_EQ(either.behind, ":");
  EXPECT_EQ(complete({"cp", "box:/tm"}).names, Names::none);
  EXPECT_FALSE(complete({"cp", "box:/tm"}).files);
}

TEST(Completion, AsksTheDaemonThatTheLineNames) {
  EXPECT_EQ(complete({"--host", "unix:/a", "rm", ""}).host, "unix:/a");
  EXPECT_EQ(complete({"rm", "--host=unix:/b", ""}).host, "unix:/b");
  EXPECT_EQ(complete({"rm", "--host", "unix:/c", ""}).host, "unix:/c");
  EXPECT_EQ(complete({"--ca", "/a.pem", "rm", ""}).ca, "/a.pem");
  EXPECT_EQ(complete({"rm", "--ca=/b.pem", ""}).ca, "/b.pem");
}

TEST(Completion, BearsAnyLine) {
  for (const Words& words :
       {Words{}, Words{""}, Words{"--"}, Words{"-"}, Words{"--", ""}, Words{"help"}, Words{"help", ""}, Words{"--host"},
        Words{"--host", ""}, Words{"run", "-"}, Words{"run", "=", "="}, Words{"image", "build", "--mirror=", ""}}) {
    complete(words);
  }
}

}  // namespace
}  // namespace lmsb::cli
