// run, create, ls, inspect, rm: words about sandboxes as a whole.
#include "base/text.h"
#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

// Flags whose text is parsed after all have been read.
struct SandboxTexts {
  HostFlags host;
  std::optional<std::string> data_dir, name, disk, shm, pull, network, runtime, image;
  LimitTexts limits;
  Words mounts, labels, credentials, models, devices;
  std::optional<std::string> gpus;
  std::optional<std::string> model_tokens, model_requests;
  EnvFlags env;
  bool root = false;
  bool json = false;
};

// What Docker says otherwise, or what has no sense here.
void add_dockers_flags(FlagSet& flags) {
  constexpr const char* kRoot = "commands have no capability; --root makes them root of the sandbox alone";
  flags.instead("--privileged", false, kRoot);
  flags.instead("--cap-add", true, kRoot);
  flags.instead("--cap-drop", true, "there is none to drop: commands have no capability");
  flags.instead("--security-opt", true, "all that isolates is always on; doctor names what this machine lacks");
  flags.instead("--read-only", false, "-v SRC:DST:ro shows a directory that cannot be written");
  flags.instead("--entrypoint", true, "write the program behind the image: images have no entry point here");
  flags.instead("--hostname", true, "the host name is the sandbox's id; --name gives it a name");
  flags.instead("--mount", true, "write -v SRC:DST[:ro]");
  flags.instead("--tmpfs", true, "/tmp and the working directory can be written, within --disk");
  flags.instead("--restart", true, "sandboxes outlive the daemon; a command that ends is not started again");
  flags.instead("--platform", true, "sandboxes run what this machine runs");
  flags.instead("-P,--publish-all", false, "port SANDBOX lists what listens; port SANDBOX HOST:GUEST leads there");
  for (const char* names : {"--dns", "--add-host"})
    flags.instead(names, true, "--network HOST,... says what may be reached, by name");
  for (const char* space : {"--pid", "--ipc", "--uts", "--userns", "--cgroupns"})
    flags.instead(space, true, "nothing is shared with the machine or with another sandbox");
}

void add_sandbox_flags(FlagSet& flags, SandboxTexts& texts) {
  add_target(flags, texts.host);
  flags.values("-e,--env", "KEY=VALUE", texts.env.variables, "Set a variable; KEY alone passes on your own");
  flags.values("--env-file", "FILE", texts.env.files, "Set the variables that FILE lists, one KEY=VALUE a line");
  flags.values("-v,--volume", "SRC:DST[:ro]", texts.mounts,
               "Show your directory SRC as DST inside, or the volume of that name");
  add_limit_flags(flags, texts.limits);
  flags.value("--disk", "SIZE", texts.disk, "Limit of what may be written");
  flags.value("--shm-size", "SIZE", texts.shm, "Size of /dev/shm, which counts as memory (default 64m)");
  flags.value(
      "--network,--net", "none|open|HOST,...", texts.network,
      "What the sandbox may reach: nothing (the default), all but private addresses, or these hosts, addresses\n"
      "and ranges, each perhaps with :PORT");
  flags.value("--gpus", "all|NUMBER|device=ID,...", texts.gpus,
              "Give it GPUs of NVIDIA: all, so many, or these (nvidia.com/gpu=ID)");
  flags.values("--device", "NAME", texts.devices,
               "Give it a device that doctor lists: VENDOR.COM/CLASS=NAME; may be given again");
  flags.values("--credential", "NAME", texts.credentials,
               "Let it ask the host of the operator's credential NAME at http://NAME.internal");
  flags.flag("--root", texts.root, "Commands are root inside, of the sandbox alone, and may install packages");
  flags.value("--runtime", "native", texts.runtime, "Runtime of the sandbox: native today, which is the default");
  flags.flag("--json", texts.json, "Print the daemon's answer as JSON");
  flags.values("--model", "MODEL", texts.models,
               "Let programs in it ask this local model, at 127.0.0.1:11434, without a network; may be given again");
  flags.value("--model-tokens", "NUMBER", texts.model_tokens, "Tokens of models that it may use in all");
  flags.value("--model-requests", "NUMBER", texts.model_requests, "Requests to models that it may make a minute");
  flags.value("--pull", "missing|never", texts.pull,
              "Images are made on this machine and never fetched: as either says");
  add_dockers_flags(flags);
}

// What tells a sandbox from the others, for as long as it can be seen.
void add_name_and_labels(FlagSet& flags, SandboxTexts& texts) {
  flags.value("--name", "NAME", texts.name, "Name of the sandbox");
  flags.values("-l,--label", "KEY=VALUE", texts.labels, "Label of the sandbox");
}

// Docker's words, as far as they are true of images that no registry has.
Status check_pull(const std::optional<std::string>& pull) {
  if (!pull || *pull == "missing" || *pull == "never") return {};
  if (*pull == "always")
    return Error(ErrorCode::unsupported, "--pull always: images are made on this machine, there is nothing to fetch")
        .with_hint("image build IMAGE makes it anew");
  return Error(ErrorCode::invalid_argument, "--pull: " + quoted(*pull) + " is none of missing, never");
}

// Docker's words for NVIDIA's GPUs, as names of devices.
Status add_gpus(const std::optional<std::string>& gpus, Words& devices) {
  if (!gpus) return {};
  constexpr std::string_view kList = "device=";
  constexpr const char* kKind = "nvidia.com/gpu=";
  std::string text = *gpus;
  if (text.size() > 1 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  if (text.starts_with(kList)) {
    for (std::size_t at = kList.size(); at <= text.size();) {
      const std::size_t comma = std::min(text.find(',', at), text.size());
      devices.push_back(kKind + text.substr(at, comma - at));
      at = comma + 1;
    }
    return {};
  }
  if (text == "all") return devices.push_back(kKind + text), Status();
  std::optional<std::uint32_t> count;
  LMSB_CHECK(convert("--gpus", gpus, parse_count, count));
  if (*count > 16) return Error(ErrorCode::invalid_argument, "--gpus: more than 16").with_hint("--gpus all");
  for (std::uint32_t i = 0; i < *count; ++i) devices.push_back(kKind + std::to_string(i));
  return {};
}

Status refuse_later_values(const SandboxTexts& texts) {
  if (texts.runtime.value_or("native") != "native") {
    return Error(ErrorCode::unsupported, "not yet: --runtime " + *texts.runtime)
        .with_hint("the runtime today is native");
  }
  return {};
}

Result<SandboxFlags> sandbox_flags(const SandboxTexts& texts) {
  LMSB_CHECK(refuse_later_values(texts));
  LMSB_CHECK(check_pull(texts.pull));
  SandboxFlags sandbox;
  sandbox.name = texts.name.value_or("");
  sandbox.image = texts.image.value_or("");
  sandbox.root = texts.root;
  for (const std::string& text : texts.mounts) {
    LMSB_TRY(auto mount, parse_mount_flag(text));
    sandbox.mounts.push_back(std::move(mount));
  }
  for (const std::string& text : texts.labels) LMSB_CHECK(add_label(sandbox.labels, text));
  LMSB_TRY(sandbox.limits, limit_flags(texts.limits));
  LMSB_CHECK(convert("--network", texts.network, parse_network, sandbox.network));
  for (const std::string& name : texts.credentials) add_credential(sandbox.network, name);
  LMSB_CHECK(convert("--disk", texts.disk, parse_size, sandbox.limits.disk));
  LMSB_CHECK(convert("--shm-size", texts.shm, parse_size, sandbox.limits.shm));
  sandbox.devices = texts.devices;
  LMSB_CHECK(add_gpus(texts.gpus, sandbox.devices));
  sandbox.models = texts.models;
  LMSB_CHECK(convert("--model-tokens", texts.model_tokens, parse_count, sandbox.model_tokens));
  LMSB_CHECK(convert("--model-requests", texts.model_requests, parse_count, sandbox.model_requests));
  return sandbox;
}

// How a run is told from a one-shot: by what makes its sandbox one that can be seen.
struct RunTexts {
  SandboxTexts sandbox;
  ProcessTexts process;
  Words ports;
  std::optional<std::string> idle;
  bool remove = false;
  bool has_init = false;
};

void add_run_flags(FlagSet& flags, RunTexts& texts, RunCommand& command) {
  add_sandbox_flags(flags, texts.sandbox);
  add_name_and_labels(flags, texts.sandbox);
  add_process_flags(flags, texts.process);
  flags.flag("-t,--tty", command.terminal, "Give it a terminal, which is yours until it ends (also -it)");
  flags.flag("-d,--detach", command.detach,
             "Let it go on by itself in a sandbox that stays, and print the sandbox's id");
  flags.value("--idle", "DURATION", texts.idle, "With -d: how long the sandbox may stand unused (default: for ever)");
  flags.values("-p,--publish", "[HOST:]GUEST", texts.ports,
               "Let a port of this machine's loopback lead to one of the sandbox while the command runs");
  flags.value("--data-dir", "DIR", texts.sandbox.data_dir, "Data directory of a private daemon, where none runs");
  flags.flag("--init", texts.has_init, "Something in it reaps orphans: always so");
  flags.flag("--rm", texts.remove, "The sandbox is gone afterwards: always so but with -d");
  flags.flag("--dry-run", command.dry_run, "Print the plan of the launch and start nothing");
}

Status check_run(const RunTexts& texts, const RunCommand& command) {
  if (command.detach && command.terminal) return usage_error("run", "-t and -d do not go together");
  if (command.detach && texts.remove)
    return Error(ErrorCode::invalid_argument, "run: --rm and -d do not go together")
        .with_hint("lm-sandbox rm ends it, or give -d an end: --idle 10m");
  if (command.detach && !texts.ports.empty())
    return Error(ErrorCode::invalid_argument, "run: -p and -d do not go together")
        .with_hint("lm-sandbox port SANDBOX HOST:GUEST leads there, for as long as it runs");
  if (texts.idle && !command.detach)
    return usage_error("run", "--idle is of -d: without it the sandbox is gone at once");
  return {};
}

// Of ls; read after all flags have been.
struct ListTexts {
  std::optional<std::string> state, format, last;
  Words filters;
  bool as_always = false;
  bool latest = false;
};

void add_list_flags(FlagSet& flags, ListTexts& texts, ListCommand& command) {
  flags.flag("-a,--all", texts.as_always, "All of them, stopped ones too: always so");
  flags.flag("--no-trunc", texts.as_always, "Cut nothing: always so");
  flags.values("-f,--filter", "KEY=VALUE", texts.filters,
               "Only those with this id=BEGINNING, name=PART, label=KEY[=VALUE], status=STATE or image=IMAGE");
  flags.value("--format", "TEMPLATE", texts.format,
              "Print a line each: '{{.id}} {{.name}}', 'table {{.ID}}\\t{{.State}}' or json");
  flags.flag("-l,--latest", texts.latest, "Only the newest");
  flags.value("-n,--last", "NUMBER", texts.last, "Only so many, the newest");
  add_quiet(flags, command.quiet, "Print ids only");
  flags.instead("-s,--size", false, "stats shows what each has written");
}

Status convert_format(const std::optional<std::string>& text, std::optional<FormatTemplate>& format) {
  if (!text) return {};
  LMSB_TRY(format, FormatTemplate::parse(*text));
  return {};
}

Status read_list_texts(const ListTexts& texts, ListCommand& command) {
  command.state = texts.state.value_or("");
  for (const std::string& filter : texts.filters) LMSB_CHECK(command.filter.add(filter));
  LMSB_CHECK(convert("--last", texts.last, parse_count, command.last));
  if (texts.latest) command.last = 1;
  if (texts.format && (command.quiet || command.target.json))
    return usage_error("ls", "--format says all that is printed: leave -q and --json out");
  return convert_format(texts.format, command.format);
}

}  // namespace

Result<AnyCommand> parse_run(const Words& words) {
  FlagSet flags("run", {"run [OPTIONS] IMAGE COMMAND [ARG...]", "run [OPTIONS] -- COMMAND [ARG...]"},
                "Run a command in a fresh sandbox that is gone afterwards. After '--' the image is the default one.\n"
                "Exit status: the command's own; 124 time limit, 125 our failure, 126 not executable, 127 not found.",
                Order::first);
  RunTexts texts;
  RunCommand command;
  add_run_flags(flags, texts, command);
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (!parsed.dashes && !parsed.words.empty()) {
    texts.sandbox.image = parsed.words.front();
    parsed.words.erase(parsed.words.begin());
  }
  if (parsed.words.empty()) return usage_error("run", "no command given");
  LMSB_CHECK(check_run(texts, command));
  command.target = target_of(texts.sandbox.host, texts.sandbox.json, texts.sandbox.data_dir);
  LMSB_TRY(command.sandbox, sandbox_flags(texts.sandbox));
  LMSB_TRY(command.process, process_flags(texts.process, std::move(parsed.words)));
  LMSB_CHECK(convert("--idle", texts.idle, parse_life, command.idle));
  for (const std::string& text : texts.ports) {
    auto port = parse_port_flag(text);
    if (!port.ok()) return std::move(port).error().with_context("-p");
    command.ports.push_back(*port);
  }
  command.env = std::move(texts.sandbox.env);
  return command;
}

Result<AnyCommand> parse_create(const Words& words) {
  FlagSet flags("create", {"create [OPTIONS] [IMAGE]"}, "Create a sandbox that is kept, and print its id",
                Order::anywhere);
  SandboxTexts sandbox;
  std::optional<std::string> cwd;
  std::optional<std::string> user;
  add_sandbox_flags(flags, sandbox);
  add_name_and_labels(flags, sandbox);
  LifeTexts life;
  add_life_flags(flags, life);
  add_place(flags, cwd, user);
  std::optional<std::string> snapshot;
  flags.value("--snapshot", "SNAPSHOT", snapshot,
              "Begin with the disk in this snapshot; the image is that of the snapshot");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() > 1)
    return Error(ErrorCode::invalid_argument, "create: too many words: give at most one image")
        .with_hint("exec starts commands in it once it is made");
  if (!parsed.words.empty()) sandbox.image = parsed.words.front();
  CreateCommand command;
  command.target = target_of(sandbox.host, sandbox.json);
  LMSB_TRY(command.sandbox, sandbox_flags(sandbox));
  LMSB_TRY(command.life, life_flags(life));
  command.env = std::move(sandbox.env);
  command.snapshot = snapshot.value_or("");
  command.cwd = cwd.value_or("");
  command.user = user.value_or("");
  return command;
}

Result<AnyCommand> parse_list(const Words& words) {
  FlagSet flags("ls", {"ls [OPTIONS]"}, "List sandboxes (also: ps)", Order::anywhere);
  HostFlags host;
  ListCommand command;
  ListTexts texts;
  add_target(flags, host);
  add_list_flags(flags, texts, command);
  flags.values("--label", "KEY[=VALUE]", command.labels, "Only sandboxes with this label");
  flags.value("--state", "STATE", texts.state, "Only those that are running, paused, stopped, failed or lost");
  flags.flag("--json", command.target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (!parsed.words.empty())
    return Error(ErrorCode::invalid_argument, "ls: takes no words")
        .with_hint("ls --filter name=NAME shows one, and inspect all that is known of it");
  host.apply(command.target);
  LMSB_CHECK(read_list_texts(texts, command));
  return command;
}

Result<AnyCommand> parse_inspect(const Words& words) {
  FlagSet flags("inspect", {"inspect [OPTIONS] SANDBOX [SANDBOX...]"},
                "Show all that is known of sandboxes as JSON: limits, network, what isolates them, when they end",
                Order::anywhere);
  InspectCommand command;
  std::optional<std::string> format;
  flags.value("-f,--format", "TEMPLATE", format, "Print only this of each: '{{.state}}', '{{json .limits}}'");
  flags.instead("--type", true, "volume inspect shows volumes");
  flags.instead("-s,--size", false, "stats shows what it has written");
  LMSB_TRY(auto sandboxes, parse_sandboxes(flags, "inspect", {}, command.target, words));
  if (!sandboxes) return HelpCommand{flags.help()};
  if (format && command.target.json)
    return usage_error("inspect", "--format says all that is printed: leave --json out");
  LMSB_CHECK(convert_format(format, command.format));
  command.sandboxes = *std::move(sandboxes);
  return command;
}

Result<AnyCommand> parse_remove(const Words& words) {
  FlagSet flags("rm", {"rm [OPTIONS] SANDBOX [SANDBOX...]"}, "End sandboxes and remove all that is theirs",
                Order::anywhere);
  RemoveCommand command;
  bool as_always = false;
  flags.flag("-f,--force", command.force, "No error for sandboxes that are not there (those that run end always)");
  flags.flag("-v,--volumes", as_always, "Nameless volumes, too: there are none, and named ones stay");
  LMSB_TRY(auto sandboxes, parse_sandboxes(flags, "rm", {}, command.target, words));
  if (!sandboxes) return HelpCommand{flags.help()};
  command.sandboxes = *std::move(sandboxes);
  return command;
}

}  // namespace lmsb::cli
