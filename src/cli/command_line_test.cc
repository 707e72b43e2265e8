#include "cli/command_line.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include <gtest/gtest.h>

#include "cli/command_table.h"

namespace lmsb::cli {
namespace {

using std::chrono::milliseconds;

// The command that `words` mean, which must be of that type.
template <class Command>
Command parsed(const Words& words) {
  auto result = parse_command_line(words);
  EXPECT_TRUE(result.ok()) << result.error().message();
  EXPECT_TRUE(std::holds_alternative<Command>(*result)) << words.size();
  return std::get<Command>(*result);
}

std::string error_of_words(const Words& words) {
  const auto result = parse_command_line(words);
  EXPECT_FALSE(result.ok());
  return result.ok() ? "" : result.error().message();
}

TEST(CommandLine, RunTakesAnImageAndACommand) {
  const auto run =
      parsed<RunCommand>({"run", "--rm", "-e",        "A=1",  "-w",     "/w", "-u",        "user", "-i",
                          "-m",  "512m", "--cpus",    "1.5",  "--pids", "64", "--disk",    "1g",   "--timeout",
                          "30s", "-v",   "./x:/x:ro", "base", "sh",     "-c", "echo -e hi"});
  EXPECT_EQ(run.sandbox.image, "base");
  EXPECT_EQ(run.process.command, (Words{"sh", "-c", "echo -e hi"}));
  EXPECT_EQ(run.env.variables, Words{"A=1"});
  EXPECT_EQ(run.process.cwd, "/w");
  EXPECT_EQ(run.process.user, "user");
  EXPECT_TRUE(run.process.interactive);
  EXPECT_EQ(run.process.timeout, milliseconds(30'000));
  EXPECT_EQ(run.sandbox.limits.memory, Bytes::MiB(512));
  EXPECT_EQ(run.sandbox.limits.disk, Bytes::GiB(1));
  EXPECT_EQ(run.sandbox.limits.cpu_millis, 1500U);
  EXPECT_EQ(run.sandbox.limits.processes, 64U);
  EXPECT_EQ(run.sandbox.mounts, (std::vector<MountFlag>{{"./x", "/x", true}}));
}

TEST(CommandLine, RunTakesTheDefaultImageBehindDashes) {
  const auto run = parsed<RunCommand>({"run", "--dry-run", "--", "ls", "-l"});
  EXPECT_EQ(run.sandbox.image, "");
  EXPECT_EQ(run.process.command, (Words{"ls", "-l"}));
  EXPECT_TRUE(run.dry_run);
}

TEST(CommandLine, RunWithoutACommandSaysSo) {
  EXPECT_EQ(error_of_words({"run"}), "run: no command given");
  EXPECT_EQ(error_of_words({"run", "base"}), "run: no command given");
  EXPECT_EQ(error_of_words({"run", "--"}), "run: no command given");
}

TEST(CommandLine, SaysNotYetForWhatDockerHasAndWeWillHave) {
  EXPECT_EQ(error_of_words({"run", "--runtime", "oci", "base", "sh"}), "not yet: --runtime oci");
  EXPECT_EQ(parsed<RunCommand>({"run", "--network", "none", "--runtime=native", "base", "sh"}).sandbox.image, "base");
  EXPECT_TRUE(error_of_words({"run", "--network", "host", "base", "sh"}).starts_with("--network: a sandbox never"));
}

TEST(CommandLine, SharedMemoryHasASize) {
  EXPECT_EQ(parsed<RunCommand>({"run", "--shm-size", "1g", "base", "sh"}).sandbox.limits.shm, Bytes::GiB(1));
  EXPECT_EQ(parsed<CreateCommand>({"create", "--shm-size=128m"}).sandbox.limits.shm, Bytes::MiB(128));
  EXPECT_TRUE(error_of_words({"create", "--shm-size", "much"}).starts_with("--shm-size: "));
}

TEST(CommandLine, PullIsOfImagesThatAreHere) {
  for (const char* when : {"missing", "never"})
    EXPECT_EQ(parsed<RunCommand>({"run", "--pull", when, "base", "sh"}).sandbox.image, "base");
  EXPECT_TRUE(error_of_words({"run", "--pull", "always", "base", "sh"}).starts_with("--pull always: "));
  EXPECT_TRUE(error_of_words({"create", "--pull=often"}).starts_with("--pull: "));
}

TEST(CommandLine, RunTakesATerminalAndWhatMakesItsSandboxSeen) {
  EXPECT_TRUE(parsed<RunCommand>({"run", "-it", "base", "bash"}).terminal);
  EXPECT_TRUE(parsed<RunCommand>({"run", "-it", "base", "bash"}).process.interactive);
  const auto run =
      parsed<RunCommand>({"run", "--name", "box", "--label", "k=v", "-p", "8080:80", "-p", "90", "base", "sh"});
  EXPECT_EQ(run.sandbox.name, "box");
  EXPECT_EQ(run.sandbox.labels.at("k"), "v");
  EXPECT_EQ(run.ports, (std::vector<PortFlag>{{8080, 80}, {90, 90}}));
  EXPECT_EQ(parsed<RunCommand>({"run", "-p", "127.0.0.1:8080:80/tcp", "-p", "90/tcp", "base", "sh"}).ports,
            (std::vector<PortFlag>{{8080, 80}, {90, 90}}));
  EXPECT_EQ(error_of_words({"run", "-p", "53:53/udp", "base", "sh"}),
            "-p: \"53:53/udp\": only TCP ports can be led here");
  EXPECT_EQ(error_of_words({"run", "-p", "0", "base", "sh"}), "-p: \"0\" is not [HOST:]GUEST, two numbers up to 65535");
}

TEST(CommandLine, ADetachedRunStaysAndHasNoEndOfItsOwn) {
  const auto run = parsed<RunCommand>({"run", "-d", "--idle", "5m", "base", "sh"});
  EXPECT_TRUE(run.detach);
  EXPECT_EQ(run.idle, std::chrono::minutes(5));
  for (const Words& words : std::vector<Words>{{"run", "-d", "-t", "base", "sh"},
                                               {"run", "-d", "--rm", "base", "sh"},
                                               {"run", "-d", "-p", "80", "base", "sh"},
                                               {"run", "--idle", "5m", "base", "sh"}})
    EXPECT_TRUE(error_of_words(words).starts_with("run: ")) << words[1];
}

TEST(CommandLine, RunTakesCredentialsBesideANetworkOrInPlaceOfOne) {
  const NetworkFlag alone{"allowlist", {"credential:api", "credential:b"}};
  EXPECT_EQ(parsed<RunCommand>({"run", "--credential", "api", "--credential", "b", "base", "sh"}).sandbox.network,
            alone);
  EXPECT_EQ(
      parsed<RunCommand>({"run", "--network=none", "--credential=api", "--credential=b", "base", "sh"}).sandbox.network,
      alone);
  const NetworkFlag open{"open", {"credential:api"}};
  EXPECT_EQ(parsed<CreateCommand>({"create", "--network", "open", "--credential", "api"}).sandbox.network, open);
  const NetworkFlag list{"allowlist", {"a.test", "credential:api"}};
  EXPECT_EQ(parsed<CreateCommand>({"create", "--network", "a.test", "--credential", "api"}).sandbox.network, list);
}

TEST(CommandLine, TakesTheModelsOfASandboxOneByOne) {
  const auto run = parsed<RunCommand>({"run", "--model", "a", "--model", "b", "--model-tokens", "100", "base", "sh"});
  EXPECT_EQ(run.sandbox.models, (Words{"a", "b"}));
  EXPECT_EQ(run.sandbox.model_tokens, 100U);
  EXPECT_EQ(parsed<CreateCommand>({"create", "--model-requests=5"}).sandbox.model_requests, 5U);
}

TEST(CommandLine, ExecTakesATerminalOrGoesOnByItself) {
  EXPECT_TRUE(parsed<ExecCommand>({"exec", "-it", "box", "sh"}).terminal);
  EXPECT_TRUE(parsed<ExecCommand>({"exec", "-d", "box", "sh"}).detach);
  EXPECT_TRUE(parsed<ExecCommand>({"shell", "box"}).process.command.empty());
  EXPECT_TRUE(error_of_words({"exec", "-t", "-d", "box", "sh"}).starts_with("exec: "));
}

TEST(CommandLine, KnowsTheProcessesOfASandbox) {
  EXPECT_EQ(parsed<TopCommand>({"top", "box"}).sandbox, "box");
  EXPECT_EQ(parsed<CopyCommand>({"cp", "a", "box:b"}).to.sandbox, "box");
  EXPECT_TRUE(parsed<CopyCommand>({"cp", "box:b", "-"}).to.is_stream());
  EXPECT_TRUE(parsed<LogsCommand>({"logs", "-f", "box", "prc_1"}).follow);
  EXPECT_TRUE(parsed<LogsCommand>({"attach", "box", "prc_1"}).ends_with_it);
  const auto kill = parsed<KillCommand>({"kill", "-s", "TERM", "box", "prc_1", "prc_2"});
  EXPECT_EQ(kill.signal, "TERM");
  EXPECT_EQ(kill.processes, (Words{"prc_1", "prc_2"}));
  EXPECT_EQ(error_of_words({"kill", "box", "-s", "FOO"}), "kill: \"FOO\" is no signal");
  EXPECT_EQ(parsed<LogsCommand>({"logs", "box"}).process, "");
  EXPECT_TRUE(parsed<KillCommand>({"kill", "box"}).processes.empty());
  EXPECT_TRUE(error_of_words({"logs"}).starts_with("logs: "));
  EXPECT_EQ(parsed<WatchCommand>({"watch", "box", "/tmp"}).directory, "/tmp");
  EXPECT_EQ(parsed<ExecCommand>({"exec", "--session", "s", "box", "cd /tmp; ls"}).session, "s");
  EXPECT_TRUE(error_of_words({"exec", "--session", "s", "box", "ls", "-l"}).starts_with("exec: --session"));
}

TEST(CommandLine, LogsBeginWhereTheyAreToldAndSayWhenWhatTheyShowCame) {
  EXPECT_EQ(parsed<LogsCommand>({"logs", "--tail", "5", "box"}).tail, 5U);
  EXPECT_EQ(parsed<LogsCommand>({"logs", "-n0", "-f", "box"}).tail, 0U);
  EXPECT_EQ(parsed<LogsCommand>({"logs", "--tail=all", "box"}).tail, std::nullopt);
  EXPECT_EQ(error_of_words({"logs", "--tail", "-1", "box"}), "--tail: not a number of lines: \"-1\"");
  EXPECT_TRUE(parsed<LogsCommand>({"logs", "-t", "box"}).timestamps);
  EXPECT_EQ(parsed<LogsCommand>({"logs", "-f", "--since", "1h", "box"}).since, "1h");
  EXPECT_EQ(parsed<LogsCommand>({"logs", "--until=2026-01-31T23:59:59Z", "box"}).until, "2026-01-31T23:59:59Z");
  EXPECT_EQ(error_of_words({"logs", "--since", "10", "box"}), "--since: not a time: \"10\"");
  EXPECT_TRUE(error_of_words({"logs", "-f", "--until", "1h", "box"}).starts_with("logs: -f waits for more"));
  EXPECT_TRUE(parsed<LogsCommand>({"logs", "--json", "box"}).target.json);
  EXPECT_TRUE(parsed<LogsCommand>({"attach", "--json", "box"}).target.json);
  EXPECT_TRUE(parsed<KillCommand>({"kill", "--json", "box"}).target.json);
}

TEST(CommandLine, WaitsForProcessesAndRestartsSandboxes) {
  EXPECT_EQ(parsed<WaitCommand>({"wait", "box", "prc_1", "prc_2"}).processes, (Words{"prc_1", "prc_2"}));
  EXPECT_TRUE(parsed<WaitCommand>({"wait", "--json", "box"}).target.json);
  const auto restart = parsed<StateCommand>({"restart", "-t", "2", "a", "b"});
  EXPECT_EQ(restart.verb, "restart");
  EXPECT_EQ(restart.grace, std::chrono::milliseconds(2000));
  EXPECT_EQ(parsed<StateCommand>({"stop", "--timeout", "3", "a"}).grace, std::chrono::milliseconds(3000));
}

TEST(CommandLine, ListsAsUsersOfDockerAskForIt) {
  const auto list = parsed<ListCommand>({"ps", "-aq", "--no-trunc", "-n", "3", "-f", "name=x"});
  EXPECT_TRUE(list.quiet);
  EXPECT_EQ(list.last, 3U);
  EXPECT_EQ(parsed<ListCommand>({"ps", "-l"}).last, 1U);
  EXPECT_TRUE(parsed<ListCommand>({"ps", "--format", "{{.ID}}"}).format);
  EXPECT_TRUE(parsed<InspectCommand>({"inspect", "-f", "{{.state}}", "box"}).format);
  EXPECT_TRUE(parsed<ImageListCommand>({"image", "ls", "-q"}).quiet);
  EXPECT_TRUE(parsed<RemoveCommand>({"rm", "-fv", "box"}).force);
  EXPECT_EQ(error_of_words({"ps", "--format", "{{.ID"}), "--format: \"{{.ID\" does not close");
  for (const Words& words : {Words{"ps", "-q", "--format", "json"}, Words{"ps", "--json", "--format", "json"},
                             Words{"inspect", "--json", "-f", "json", "box"}})
    EXPECT_NE(error_of_words(words).find("--format says all that is printed"), std::string::npos);
  for (const Words& words : {Words{"ps", "-q", "--json"}, Words{"image", "ls", "-q", "--json"},
                             Words{"volume", "ls", "--json", "--quiet"}, Words{"snapshot", "ls", "-q", "--json"},
                             Words{"key", "ls", "-q", "--json"}, Words{"session", "ls", "-q", "--json", "box"}})
    EXPECT_NE(error_of_words(words).find("--quiet and --json do not go together"), std::string::npos) << words.front();
  EXPECT_TRUE(parsed<CopyCommand>({"cp", "-qL", "--json", "a", "box:b"}).quiet);
  EXPECT_EQ(error_of_words({"cp", "--json", "box:a", "-"}), "cp: --json and an archive on stdout do not go together");
  EXPECT_EQ(parsed<RunCommand>({"run", "-l", "a=b", "--net", "none", "--pids-limit", "5", "--init", "base", "sh"})
                .sandbox.limits.processes,
            5U);
}

TEST(CommandLine, SaysWhatToDoInsteadOfWhatDockerHas) {
  const std::vector<Words> others{{"run", "--privileged", "base", "sh"},
                                  {"run", "--entrypoint", "sh", "base"},
                                  {"run", "-P", "base", "sh"},
                                  {"create", "--tmpfs", "/x"},
                                  {"exec", "--privileged", "box", "sh"},
                                  {"start", "-a", "box"},
                                  {"stop", "-s", "INT", "box"},
                                  {"cp", "-a", "x", "box:y"},
                                  {"ps", "--size"},
                                  {"events", "--since", "1h"}};
  for (const Words& words : others) {
    const auto refused = parse_command_line(words);
    ASSERT_FALSE(refused.ok()) << words[1];
    EXPECT_TRUE(
        refused.error().message().starts_with(words[0] == "ps" ? "ls: there is no " : words[0] + ": there is no "));
    EXPECT_FALSE(refused.error().hint().empty());
  }
  EXPECT_EQ(error_of_words({"images"}), "there is no command \"images\" here");
  EXPECT_EQ(parse_command_line({"rename", "a", "b"}).error().hint(),
            "a sandbox keeps the name it was made with; update --label can mark it");
}

TEST(CommandLine, CreateTakesANameLabelsAndWhereItsCommandsStart) {
  const auto create =
      parsed<CreateCommand>({"create", "--name", "box", "--label", "k=v", "-w", "/tmp", "-u", "user", "base"});
  EXPECT_EQ(create.sandbox.name, "box");
  EXPECT_EQ(create.sandbox.labels, (Variables{{"k", "v"}}));
  EXPECT_EQ(create.cwd, "/tmp");
  EXPECT_EQ(create.user, "user");
  EXPECT_EQ(create.sandbox.image, "base");
}

TEST(CommandLine, KnowsHowLongSandboxesLive) {
  const auto create = parsed<CreateCommand>({"create", "--timeout", "7d", "--on-timeout", "pause"});
  EXPECT_EQ(create.life.timeout, std::chrono::hours(7 * 24));
  EXPECT_EQ(create.life.on_timeout, "pause");
  const auto update = parsed<UpdateCommand>({"update", "box", "--idle", "none", "--label", "a=1", "--no-label", "b"});
  EXPECT_EQ(update.sandbox, "box");
  EXPECT_EQ(update.life.idle, std::chrono::milliseconds(0));
  EXPECT_EQ(update.labels, (Variables{{"a", "1"}}));
  EXPECT_EQ(update.gone_labels, (Words{"b"}));
  EXPECT_EQ(error_of_words({"create", "--idle", "soon"}), "--idle: not a duration: \"soon\"");
}

TEST(CommandLine, KnowsVolumes) {
  const auto create = parsed<VolumeCreateCommand>({"volume", "create", "--size", "1g", "--label", "a=1", "data"});
  EXPECT_EQ(create.name, "data");
  EXPECT_EQ(create.size, Bytes::GiB(1));
  EXPECT_EQ(create.labels.at("a"), "1");
  EXPECT_EQ(parsed<VolumeCreateCommand>({"volume", "create"}).name, "");
  EXPECT_TRUE(parsed<VolumeListCommand>({"volume", "ls", "-q"}).quiet);
  EXPECT_EQ(parsed<VolumeInspectCommand>({"volume", "inspect", "a", "b"}).volumes, (Words{"a", "b"}));
  EXPECT_EQ(parsed<VolumeUpdateCommand>({"volume", "update", "--no-label", "a", "data"}).gone_labels, (Words{"a"}));
  EXPECT_TRUE(parsed<VolumeRemoveCommand>({"volume", "rm", "-f", "data"}).force);
  EXPECT_FALSE(parse_command_line({"volume", "update", "data"}).ok());
  EXPECT_FALSE(parse_command_line({"volume", "rm"}).ok());
}

TEST(CommandLine, KnowsKeys) {
  const auto create =
      parsed<KeyCreateCommand>({"key",    "create",    "--scope", "read",       "--scope", "models",      "--label",
                                "team=a", "--expires", "30d",     "--requests", "600",     "--sandboxes", "5",
                                "-m",     "8g",        "--cpus",  "2.5",        "--disk",  "20g",         "ci"});
  EXPECT_EQ(create.name, "ci");
  EXPECT_EQ(create.scopes, (Words{"read", "models"}));
  EXPECT_EQ(create.labels.at("team"), "a");
  EXPECT_EQ(create.life, std::chrono::hours(30 * 24));
  EXPECT_EQ(create.requests_per_minute, 600U);
  EXPECT_EQ(create.sandboxes, 5U);
  EXPECT_EQ(create.memory, Bytes::GiB(8));
  EXPECT_EQ(create.cpu_millis, 2500U);
  EXPECT_EQ(create.disk, Bytes::GiB(20));
  EXPECT_EQ(parsed<KeyCreateCommand>({"key", "create", "--expires", "none"}).life, std::nullopt);
  EXPECT_EQ(parsed<KeyCreateCommand>({"key", "create", "--expires", "1"}).life, std::chrono::seconds(1));
  for (const char* no_time : {"0", "0s", "0d", ""})
    EXPECT_FALSE(parse_command_line({"key", "create", "--expires", no_time}).ok()) << no_time;
  EXPECT_TRUE(parsed<KeyListCommand>({"key", "ls", "-q"}).quiet);
  EXPECT_EQ(parsed<KeyRemoveCommand>({"key", "rm", "-f", "a", "b"}).keys, (Words{"a", "b"}));
  EXPECT_FALSE(parse_command_line({"key", "rm"}).ok());
  EXPECT_FALSE(parse_command_line({"key", "create", "--requests", "0"}).ok());
}

TEST(CommandLine, ChangesLimits) {
  const auto update = parsed<UpdateCommand>({"update", "--memory", "64m", "--cpus", "0.5", "--pids", "9", "box"});
  EXPECT_EQ(update.limits.memory, Bytes::MiB(64));
  EXPECT_EQ(update.limits.cpu_millis, 500U);
  EXPECT_EQ(update.limits.processes, 9U);
  EXPECT_FALSE(update.limits.disk);
  EXPECT_TRUE(error_of_words({"update", "--disk", "1g", "box"}).starts_with("update: "));
  EXPECT_EQ(error_of_words({"update", "box"}), "update: nothing to change");
}

TEST(CommandLine, PausesAndResumesSeveral) {
  EXPECT_EQ(parsed<StateCommand>({"pause", "a", "b"}).sandboxes, (Words{"a", "b"}));
  EXPECT_EQ(parsed<StateCommand>({"resume", "a"}).verb, "resume");
  EXPECT_TRUE(error_of_words({"pause"}).starts_with("pause: "));
  EXPECT_FALSE(parsed<StateCommand>({"stop", "a"}).grace);
  EXPECT_EQ(parsed<StateCommand>({"stop", "-t", "0", "a", "b"}).grace, std::chrono::milliseconds(0));
  EXPECT_EQ(parsed<StateCommand>({"stop", "--time", "90", "a"}).grace, std::chrono::milliseconds(90'000));
  EXPECT_TRUE(error_of_words({"stop", "-t", "-1", "a"}).starts_with("--time: "));
  EXPECT_TRUE(parsed<StatsCommand>({"stats"}).sandboxes.empty());
  EXPECT_EQ(parsed<EventsCommand>({"events", "box"}).sandbox, "box");
}

TEST(CommandLine, NamesTheFlagWhoseValueIsBad) {
  EXPECT_EQ(error_of_words({"run", "-m", "much", "base", "sh"}), "--memory: not a size: \"much\"");
  EXPECT_EQ(error_of_words({"run", "--timeout", "soon", "base", "sh"}), "--timeout: not a duration: \"soon\"");
}

TEST(CommandLine, ExecTakesASandboxAndACommand) {
  const auto exec = parsed<ExecCommand>({"exec", "-w", "/tmp", "box", "ls", "--json"});
  EXPECT_EQ(exec.sandbox, "box");
  EXPECT_EQ(exec.process.command, (Words{"ls", "--json"}));
  EXPECT_FALSE(exec.target.json);
  EXPECT_EQ(parsed<ExecCommand>({"exec", "box", "--", "ls"}).process.command, Words{"ls"});
  EXPECT_EQ(error_of_words({"exec", "box"}), "exec: needs a sandbox and a command");
  EXPECT_EQ(error_of_words({"exec", "", "ls"}), "exec: needs a sandbox and a command");
  EXPECT_EQ(error_of_words({"rm", ""}), "rm: needs the id or name of a sandbox");
}

TEST(CommandLine, PortTakesASandboxAndPerhapsWhereItLeads) {
  EXPECT_EQ(parsed<PortCommand>({"port", "box"}).guest, 0);
  const auto same = parsed<PortCommand>({"port", "box", "3000"});
  EXPECT_EQ(same.guest, 3000);
  EXPECT_EQ(same.host, 3000);
  const auto free = parsed<PortCommand>({"port", "box", "0:3000"});
  EXPECT_EQ(free.guest, 3000);
  EXPECT_EQ(free.host, 0);
  const auto url = parsed<PortCommand>({"port", "box", "3000", "--url", "--expires", "90"});
  EXPECT_TRUE(url.url);
  EXPECT_EQ(url.expires, std::chrono::seconds(90));
  for (const char* ports : {"0", "1:0", ":80", "80:", "80:80:80", "65536", "x", "+80", "1:65536"})
    EXPECT_FALSE(parse_command_line({"port", "box", ports}).ok()) << ports;
  EXPECT_FALSE(parse_command_line({"port", "box", "--url"}).ok());
  EXPECT_FALSE(parse_command_line({"port", "box", "80", "--expires", "90"}).ok());
  EXPECT_FALSE(parse_command_line({"port"}).ok());
}

TEST(CommandLine, TheHostMayStandBeforeOrBehindTheCommand) {
  EXPECT_EQ(parsed<ListCommand>({"--host", "unix:/a", "ls"}).target.host, "unix:/a");
  EXPECT_EQ(parsed<ListCommand>({"ls", "--host", "unix:/b"}).target.host, "unix:/b");
  EXPECT_EQ(parsed<ListCommand>({"--host", "unix:/a", "ps", "--host=unix:/b"}).target.host, "unix:/b");
  EXPECT_EQ(parsed<ListCommand>({"--ca", "/a.pem", "ls", "--host", "https://a"}).target.ca, "/a.pem");
  EXPECT_EQ(parsed<ListCommand>({"--ca", "/a.pem", "ls", "--ca=/b.pem"}).target.ca, "/b.pem");
}

TEST(CommandLine, HandsImagesToTheToolUnread) {
  EXPECT_EQ(parsed<ToolCommand>({"image", "build", "base", "--mirror", "x"}).words,
            (Words{"image", "build", "base", "--mirror", "x"}));
  EXPECT_EQ(parsed<ToolCommand>({"image", "rm", "base"}).words, (Words{"image", "rm", "base"}));
}

TEST(CommandLine, NamesNearCommandsAndThoseOfAGroup) {
  EXPECT_EQ(error_of_words({"runn"}), "unknown command \"runn\", perhaps run");
  EXPECT_EQ(error_of_words({"image"}), "image: say which of: build, ls, rm");
  EXPECT_EQ(error_of_words({"config", "frob"}), "config: say which of: show, check, example");
}

TEST(CommandLine, SaysWhatThereIsOfAGroup) {
  const auto parsed = parse_command_line({"volume", "--help"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(std::get<OverviewCommand>(*parsed).of, "volume");
  const std::string text = overview("volume");
  EXPECT_NE(text.find("\n  volume create    Make a volume that sandboxes share\n"), std::string::npos);
  EXPECT_EQ(text.find("snapshot"), std::string::npos);
}

// All but aliases, what is not for people, and bench, whose words another program knows.
std::vector<Words> commands_with_help() {
  std::vector<Words> all;
  for (const CommandEntry& entry : commands()) {
    if (entry.group.empty() || entry.name == "bench") continue;
    std::istringstream name{std::string(entry.name)};
    all.emplace_back(std::istream_iterator<std::string>(name), std::istream_iterator<std::string>());
  }
  return all;
}

std::string help_of(Words words) {
  words.emplace_back("--help");
  return help_text(parsed<HelpCommand>(words).manual);
}

TEST(CommandLine, EveryCommandHasHelpUnderBothSpellings) {
  for (const Words& words : commands_with_help()) {
    EXPECT_TRUE(help_of(words).starts_with("Usage:  lm-sandbox " + words.front()));
    Words as_topic = words;
    as_topic.insert(as_topic.begin(), "help");
    EXPECT_EQ(help_text(parsed<HelpCommand>(as_topic).manual), help_of(words));
  }
}

TEST(CommandLine, EveryCommandThatPrintsDataTakesJson) {
  const std::vector<Words> others{{"shell"}, {"serve"}, {"config", "example"}, {"completion"}, {"man"}};
  for (const Words& words : commands_with_help()) {
    const bool takes_json = help_of(words).find("--json ") != std::string::npos;
    EXPECT_EQ(takes_json, std::find(others.begin(), others.end(), words) == others.end()) << words.back();
  }
}

TEST(CommandLine, HelpReadsAsRecorded) {
  std::string text = overview();
  for (const Words& words : commands_with_help()) text += "\n----\n" + help_of(words);
  const std::string path = LMSB_SOURCE_DIR "/tests/golden/help.txt";
  if (std::getenv("LMSB_TEST_ACCEPT") != nullptr) std::ofstream(path) << text;
  std::ostringstream recorded;
  recorded << std::ifstream(path).rdbuf();
  EXPECT_EQ(text, recorded.str()) << "LMSB_TEST_ACCEPT=1 records it anew in " << path;
}

TEST(CommandLine, WithoutACommandShowsThem) {
  for (const Words& words : {Words{}, Words{"--help"}, Words{"help"}}) parsed<OverviewCommand>(words);
  EXPECT_NE(overview().find("\n  doctor "), std::string::npos);
}

TEST(CommandLine, KnowsWhichCommandsEndAsAnotherDoes) {
  EXPECT_TRUE(ends_as_a_command_does({"run", "x"}));
  EXPECT_TRUE(ends_as_a_command_does({"--host", "ls", "exec"}));
  EXPECT_TRUE(ends_as_a_command_does({"--ca", "ls", "exec"}));
  EXPECT_FALSE(ends_as_a_command_does({"ls", "run"}));
  EXPECT_FALSE(ends_as_a_command_does({}));
}

}  // namespace
}  // namespace lmsb::cli
