#pragma once
// command_line: turns the words of a command line into one value that says what the user wants. Pure: it opens
// nothing, and reads no environment.
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "cli/command_parts.h"
#include "cli/copy_place.h"
#include "cli/flag_set.h"
#include "cli/format_template.h"
#include "cli/list_filter.h"
#include "cli/store_commands.h"
#include "cli/values.h"

namespace lmsb::cli {

struct RunCommand {
  Target target;
  SandboxFlags sandbox;
  ProcessFlags process;
  EnvFlags env;
  std::vector<PortFlag> ports;
  std::optional<std::chrono::milliseconds> idle;  // of a detached one
  bool dry_run = false;
  bool detach = false;    // it stays
  bool terminal = false;  // and it is talked to
};
struct ExecCommand {
  Target target;
  std::string sandbox;
  ProcessFlags process;
  EnvFlags env;
  std::string session;  // that it runs in; "" = none
  bool detach = false;
  bool terminal = false;  // and it is talked to
};
// Of one detached process: its output, until its end, or what there is now.
struct LogsCommand {
  Target target;
  std::string sandbox;
  std::string process;  // "" = all; of attach the only one
  bool follow = false;
  bool ends_with_it = false;          // attach: the exit status is the process's own
  std::optional<std::uint64_t> tail;  // so many lines of each stream; nothing = all
  std::optional<std::string> since;   // as the API takes them: a time, or how long ago
  std::optional<std::string> until;
  bool timestamps = false;
};
struct WaitCommand {
  Target target;
  std::string sandbox;
  Words processes;  // none = all
};
struct TopCommand {
  Target target;
  std::string sandbox;
};
struct CopyCommand {
  Target target;
  CopyPlace from;  // exactly one of the two is of a sandbox
  CopyPlace to;
  bool quiet = false;  // no progress
};
struct KillCommand {
  Target target;
  std::string sandbox;
  Words processes;  // none = all
  std::string signal = "KILL";
  bool only_leader = false;  // not everything that it started
};
struct CreateCommand {
  Target target;
  SandboxFlags sandbox;
  LifeFlags life;
  std::string snapshot;  // that it begins as; "" = as its image
  std::string cwd;       // of commands that name none
  std::string user;      // the same
  EnvFlags env;
};
// pause, resume, stop, start, restart
struct StateCommand {
  Target target;
  std::string verb;
  Words sandboxes;
  std::optional<std::chrono::milliseconds> grace;  // of stop and restart; nothing = as the daemon has it
};
struct KeyCreateCommand {
  Target target;
  std::string name;  // "" = none
  Words scopes;      // none = as the daemon has it
  Variables labels;
  std::optional<std::chrono::seconds> life;  // nothing: for ever
  // The quota: of all its sandboxes together.
  std::optional<std::uint32_t> requests_per_minute;
  std::optional<std::uint32_t> sandboxes;
  std::optional<Bytes> memory;
  std::optional<std::uint32_t> cpu_millis;
  std::optional<Bytes> disk;
};
struct KeyListCommand {
  Target target;
  bool quiet = false;  // ids only
};
struct KeyRemoveCommand {
  Target target;
  Words keys;
  bool force = false;  // one that is not there is no error
};
struct SessionListCommand {
  Target target;
  std::string sandbox;
  bool quiet = false;  // names only
};
struct SessionRemoveCommand {
  Target target;
  std::string sandbox;
  Words sessions;
  bool force = false;  // one that is not there is no error
};
struct UpdateCommand {
  Target target;
  std::string sandbox;
  LifeFlags life;
  LimitFlags limits;
  std::optional<NetworkFlag> network;
  Variables labels;
  Words gone_labels;
};
struct StatsCommand {
  Target target;
  Words sandboxes;  // none = all
};
struct EventsCommand {
  Target target;
  std::string sandbox;               // "" = all
  std::optional<std::string> after;  // the id of an event; nothing: from now on
  bool processes = false;            // commands, too
};
struct WatchCommand {
  Target target;
  std::string sandbox;
  std::string directory = ".";  // where commands start
};
struct PortCommand {
  Target target;
  std::string sandbox;
  std::uint16_t guest = 0;                      // 0: list what listens
  std::uint16_t host = 0;                       // 0: any free one
  bool url = false;                             // for a browser, instead of forwarding
  std::optional<std::chrono::seconds> expires;  // of the URL
};
struct ListCommand {
  Target target;
  Words labels;                       // --label KEY, or KEY=VALUE
  ListFilter filter;                  // --filter
  std::string state;                  // "" = all
  bool quiet = false;                 // ids only
  std::optional<std::uint32_t> last;  // so many, the newest; nothing = all
  std::optional<FormatTemplate> format;
};
struct InspectCommand {
  Target target;
  Words sandboxes;
  std::optional<FormatTemplate> format;
};
struct RemoveCommand {
  Target target;
  Words sandboxes;
  bool force = false;  // a sandbox that is not there is no error
};
struct ImageListCommand {
  Target target;
  bool quiet = false;  // names only
};
// image build, image rm: done by lm-sandbox-tool beside this program, which gets these words.
struct ToolCommand {
  Words words;
};
struct ModelListCommand {
  Target target;
};
struct ModelPullCommand {
  Target target;
  std::string source;  // a file, a URL or a name
  std::string name;    // "" = made from the source
};
struct ModelShowCommand {
  Target target;
  std::string model;
};
struct ModelProcessesCommand {
  Target target;
};
struct ModelLoadCommand {
  Target target;
  std::string model;
  bool pin = false;
  bool unpin = false;
  std::optional<std::chrono::milliseconds> keep_alive;  // 0 = as long as there is room; nothing = as it is
};
struct ModelUnloadCommand {
  Target target;
  Words models;
};
struct ModelRemoveCommand {
  Target target;
  Words models;
  bool force = false;  // a model that is not there is no error
};
struct EnvCommand {
  Target target;
  std::string program;  // "openai", "anthropic", "ollama"
};
struct ChatCommand {
  Target target;
  std::string model;   // "" = the daemon's default
  std::string system;  // "" = no such message
  Words question;      // none = a conversation, or what stdin says
};
struct DoctorCommand {
  Target target;
  bool ledger = false;
};
struct VerifyCommand {
  Target target;
};
struct BenchCommand {
  Words words;
};
struct ConfigCommand {
  enum class What : std::uint8_t { show, check, example };
  What what = What::show;
  std::string file;     // --config; "" = the usual places
  bool origin = false;  // show: where each value comes from
  bool json = false;
};
struct VersionCommand {
  bool json = false;
};
struct HelpCommand {
  Manual manual;
};
struct OverviewCommand {
  std::string of;  // lm-sandbox volume --help; "" = lm-sandbox --help
};
struct CompletionCommand {
  std::string shell;
};
// Asked by a shell while somebody types (completion.h).
struct CompleteCommand {
  Words words;
};
struct ManCommand {
  std::string page;       // "" = the program's
  std::string directory;  // all of them there instead, when it is not ""
};

using AnyCommand =
    std::variant<HelpCommand, OverviewCommand, CompletionCommand, CompleteCommand, ManCommand, VersionCommand,
                 RunCommand, ExecCommand, LogsCommand, WaitCommand, TopCommand, KillCommand, CopyCommand, CreateCommand,
                 StateCommand, SnapshotCommand, SnapshotListCommand, SnapshotInspectCommand, SnapshotRemoveCommand,
                 SnapshotExportCommand, SnapshotImportCommand, ForkCommand, RollbackCommand, VolumeCreateCommand,
                 VolumeListCommand, VolumeInspectCommand, VolumeUpdateCommand, VolumeRemoveCommand, KeyCreateCommand,
                 KeyListCommand, KeyRemoveCommand, SessionListCommand, SessionRemoveCommand, UpdateCommand,
                 StatsCommand, EventsCommand, WatchCommand, PortCommand, ListCommand, InspectCommand, RemoveCommand,
                 ImageListCommand, ToolCommand, ModelListCommand, ModelPullCommand, ModelShowCommand, EnvCommand,
                 ModelProcessesCommand, ModelLoadCommand, ModelUnloadCommand, ModelRemoveCommand, ChatCommand,
                 DoctorCommand, VerifyCommand, BenchCommand, ConfigCommand>;

// `words` are the arguments without the program's name. Of `serve` only the help is known here: its own main sees it
// first. Errors (invalid_argument, unsupported) name the command and hint at its help.
Result<AnyCommand> parse_command_line(const Words& words);

// Whether the words ask for run, exec, shell or attach, whose failures have their own exit status.
bool ends_as_a_command_does(const Words& words);

}  // namespace lmsb::cli
