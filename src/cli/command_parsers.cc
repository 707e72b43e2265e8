#include "cli/command_parsers.h"

#include <algorithm>

#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

// Flags whose text is parsed after all have been read.
struct SandboxTexts {
  HostFlags host;
  std::optional<std::string> data_dir, name, disk, network, runtime, image;
  LimitTexts limits;
  Words mounts, labels, credentials, models;
  std::optional<std::string> model_tokens, model_requests;
  EnvFlags env;
  bool root = false;
  bool json = false;
};

void add_sandbox_flags(FlagSet& flags, SandboxTexts& texts) {
  add_target(flags, texts.host);
  flags.values("-e,--env", "KEY=VALUE", texts.env.variables, "Set a variable; KEY alone passes on your own");
  flags.values("--env-file", "FILE", texts.env.files, "Set the variables that FILE lists, one KEY=VALUE a line");
  flags.values("-v,--volume", "SRC:DST[:ro]", texts.mounts,
               "Show your directory SRC as DST inside, or the volume of that name");
  add_limit_flags(flags, texts.limits);
  flags.value("--disk", "SIZE", texts.disk, "Limit of what may be written");
  flags.value(
      "--network", "none|open|HOST,...", texts.network,
      "What the sandbox may reach: nothing (the default), all but private addresses, or these hosts, addresses\n"
      "and ranges, each perhaps with :PORT");
  flags.values("--credential", "NAME", texts.credentials,
               "Let it ask the host of the operator's credential NAME at http://NAME.internal");
  flags.flag("--root", texts.root, "Commands are root inside, of the sandbox alone, and may install packages");
  flags.value("--runtime", "native", texts.runtime, "Runtime of the sandbox: native today, which is the default");
  flags.flag("--json", texts.json, "Print the daemon's answer as JSON");
  flags.values("--model", "MODEL", texts.models,
               "Let programs in it ask this local model, at 127.0.0.1:11434, without a network; may be given again");
  flags.value("--model-tokens", "NUMBER", texts.model_tokens, "Tokens of models that it may use in all");
  flags.value("--model-requests", "NUMBER", texts.model_requests, "Requests to models that it may make a minute");
  for (const char* names : {"-p,--publish", "--gpus", "--shm-size", "--pull"}) flags.not_yet(names, true);
}

// What tells a kept sandbox from the others. One that is gone afterwards, and that nobody can list, has neither.
void add_name_and_labels(FlagSet& flags, SandboxTexts& texts) {
  flags.value("--name", "NAME", texts.name, "Name of the sandbox");
  flags.values("--label", "KEY=VALUE", texts.labels, "Label of the sandbox");
}

void refuse_name_and_labels(FlagSet& flags) {
  for (const char* names : {"--name", "--label"}) flags.not_yet(names, true);
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
  sandbox.models = texts.models;
  LMSB_CHECK(convert("--model-tokens", texts.model_tokens, parse_count, sandbox.model_tokens));
  LMSB_CHECK(convert("--model-requests", texts.model_requests, parse_count, sandbox.model_requests));
  return sandbox;
}

// A command with --host and --json and nothing else.
template <class Command>
Result<AnyCommand> parse_plain(const std::string& name, const std::string& summary, const Words& words,
                               bool private_daemon) {
  FlagSet flags(name, {name + " [OPTIONS]"}, summary, Order::anywhere);
  HostFlags host;
  std::optional<std::string> data_dir;
  Command command;
  add_target(flags, host);
  if (private_daemon) flags.value("--data-dir", "DIR", data_dir, "Data directory of a private daemon, where none runs");
  flags.flag("--json", command.target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (!parsed.words.empty()) return usage_error(name, "takes no words");
  host.apply(command.target);
  command.target.data_dir = data_dir.value_or("");
  return command;
}

bool asks_help(const Words& words) {
  return std::any_of(words.begin(), words.end(), [](const auto& word) { return word == "--help" || word == "-h"; });
}

// Only its help is known here: lm-sandbox-tool, which carries it out, reads the words.
Result<AnyCommand> tool(FlagSet& flags, Words command, const Words& words) {
  if (asks_help(words)) {
    bool json = false;
    std::optional<std::string> data_dir;
    flags.value("--data-dir", "DIR", data_dir, "Directory of the images (default /var/lib/lm-sandbox)");
    flags.flag("--json", json, "Print JSON");
    return HelpCommand{flags.help()};
  }
  command.insert(command.end(), words.begin(), words.end());
  return ToolCommand{std::move(command)};
}

Result<AnyCommand> parse_config(ConfigCommand::What what, const std::string& name, const std::string& summary,
                                const Words& words) {
  FlagSet flags(name, {name + " [OPTIONS]"}, summary, Order::anywhere);
  std::optional<std::string> file;
  ConfigCommand command;
  command.what = what;
  if (what != ConfigCommand::What::example)
    flags.value("--config", "FILE", file, "Read this file instead of the usual ones");
  if (what == ConfigCommand::What::show) flags.flag("--origin", command.origin, "Say where each value comes from");
  if (what != ConfigCommand::What::example) flags.flag("--json", command.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (!parsed.words.empty()) return usage_error(name, "takes no words");
  command.file = file.value_or("");
  return command;
}

}  // namespace

Result<AnyCommand> parse_run(const Words& words) {
  FlagSet flags("run", {"run [OPTIONS] IMAGE COMMAND [ARG...]", "run [OPTIONS] -- COMMAND [ARG...]"},
                "Run a command in a fresh sandbox that is gone afterwards. After '--' the image is the default one.\n"
                "Exit status: the command's own; 124 time limit, 125 our failure, 126 not executable, 127 not found.",
                Order::first);
  SandboxTexts sandbox;
  ProcessTexts process;
  bool remove = true;
  bool dry_run = false;
  add_sandbox_flags(flags, sandbox);
  refuse_name_and_labels(flags);
  add_process_flags(flags, process);
  flags.not_yet("--idle", true);
  flags.not_yet("-t,--tty", false);
  flags.not_yet("-d,--detach", false);
  flags.value("--data-dir", "DIR", sandbox.data_dir, "Data directory of a private daemon, where none runs");
  flags.flag("--rm", remove, "The sandbox is gone afterwards: always so with run");
  flags.flag("--dry-run", dry_run, "Print the plan of the launch and start nothing");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (!parsed.dashes && !parsed.words.empty()) {
    sandbox.image = parsed.words.front();
    parsed.words.erase(parsed.words.begin());
  }
  if (parsed.words.empty()) return usage_error("run", "no command given");
  RunCommand command;
  command.target = target_of(sandbox.host, sandbox.json, sandbox.data_dir);
  LMSB_TRY(command.sandbox, sandbox_flags(sandbox));
  LMSB_TRY(command.process, process_flags(process, std::move(parsed.words)));
  command.env = std::move(sandbox.env);
  command.dry_run = dry_run;
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
  if (parsed.words.size() > 1) return usage_error("create", "too many words: give at most one image");
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

Result<AnyCommand> parse_copy(const Words& words) {
  FlagSet flags("cp", {"cp [OPTIONS] SANDBOX:SRC DEST", "cp [OPTIONS] SRC SANDBOX:DEST"},
                "Copy a file or a directory. In an existing directory it keeps its name; SRC/. is what is in SRC.\n"
                "'-' is a tar archive on stdin or stdout.",
                Order::anywhere);
  HostFlags host;
  CopyCommand command;
  add_target(flags, host);
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() != 2) return usage_error("cp", "needs a source and a destination");
  LMSB_TRY(command.from, parse_copy_place(parsed.words[0]));
  LMSB_TRY(command.to, parse_copy_place(parsed.words[1]));
  if (command.from.sandbox.empty() == command.to.sandbox.empty())
    return usage_error("cp", "exactly one side is SANDBOX:PATH");
  host.apply(command.target);
  return command;
}

Result<AnyCommand> parse_list(const Words& words) {
  FlagSet flags("ls", {"ls [OPTIONS]"}, "List sandboxes (also: ps)", Order::anywhere);
  HostFlags host;
  ListCommand command;
  add_target(flags, host);
  flags.values("--label", "KEY=VALUE", command.labels, "Only sandboxes with this label");
  flags.flag("-q,--quiet", command.quiet, "Print ids only");
  flags.flag("--json", command.target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (!parsed.words.empty()) return usage_error("ls", "takes no words");
  host.apply(command.target);
  return command;
}

Result<AnyCommand> parse_remove(const Words& words) {
  FlagSet flags("rm", {"rm [OPTIONS] SANDBOX [SANDBOX...]"}, "End sandboxes and remove all that is theirs",
                Order::anywhere);
  RemoveCommand command;
  flags.flag("-f,--force", command.force, "No error for sandboxes that are not there");
  LMSB_TRY(auto sandboxes, parse_sandboxes(flags, "rm", {}, command.target, words));
  if (!sandboxes) return HelpCommand{flags.help()};
  command.sandboxes = *std::move(sandboxes);
  return command;
}

Result<AnyCommand> parse_image_list(const Words& words) {
  return parse_plain<ImageListCommand>("image ls", "List images", words, true);
}

Result<AnyCommand> parse_model_list(const Words& words) {
  return parse_plain<ModelListCommand>("model ls", "List models", words, true);
}

Result<AnyCommand> parse_doctor(const Words& words) {
  FlagSet flags("doctor", {"doctor [OPTIONS]"},
                "Try what works on this machine, and say how to mend what does not.\n"
                "Exit status 0 if sandboxes work, 1 if not. 'weaker' and optional parts do not fail.",
                Order::anywhere);
  HostFlags host;
  std::optional<std::string> data_dir;
  DoctorCommand command;
  add_private_target(flags, host, data_dir);
  flags.flag("--ledger", command.ledger,
             "Compare instead what the kernel, the store and the database have of sandboxes and snapshots with what\n"
             "the running daemon says; exit status 1 where they differ");
  flags.flag("--json", command.target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (!parsed.words.empty()) return usage_error("doctor", "takes no words");
  host.apply(command.target);
  command.target.data_dir = data_dir.value_or("");
  return command;
}

Result<AnyCommand> parse_verify(const Words& words) {
  return parse_plain<VerifyCommand>(
      "verify", "Send the three requests of the original set-up to a running daemon (default http://127.0.0.1:8000)",
      words, false);
}

Result<AnyCommand> parse_model_pull(const Words& words) {
  FlagSet flags("model pull", {"model pull [OPTIONS] FILE|URL"}, "Take a GGUF model into the store", Order::anywhere);
  HostFlags host;
  std::optional<std::string> data_dir;
  std::optional<std::string> name;
  ModelPullCommand command;
  add_private_target(flags, host, data_dir);
  flags.value("--name", "NAME", name, "Name of the model (default: made from the source)");
  flags.flag("--json", command.target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() != 1) return usage_error("model pull", "needs one file or URL");
  command.target = target_of(host, command.target.json, data_dir);
  command.source = parsed.words.front();
  command.name = name.value_or("");
  return command;
}

Result<AnyCommand> parse_chat(const Words& words) {
  FlagSet flags("chat", {"chat [OPTIONS] [MODEL [QUESTION...]]"},
                "Talk to a model: at a terminal until /bye, else one question, from the words or from stdin",
                Order::anywhere);
  HostFlags host;
  std::optional<std::string> data_dir;
  std::optional<std::string> system;
  ChatCommand command;
  add_private_target(flags, host, data_dir);
  flags.value("--system", "TEXT", system, "What the model should be");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  command.target = target_of(host, false, data_dir);
  command.system = system.value_or("");
  if (parsed.words.empty()) return command;
  command.model = parsed.words.front();
  command.question.assign(parsed.words.begin() + 1, parsed.words.end());
  return command;
}

Result<AnyCommand> parse_image_build(const Words& words) {
  FlagSet flags("image build", {"image build [OPTIONS] base|llama"}, "Make a built-in image (needs root)",
                Order::anywhere);
  std::optional<std::string> mirror;
  bool verbose = false;
  flags.value("--mirror", "URL", mirror, "Take Debian packages from there (also MIRROR)");
  flags.flag("--verbose", verbose, "Show what is done");
  return tool(flags, {"image", "build"}, words);
}

Result<AnyCommand> parse_image_remove(const Words& words) {
  FlagSet flags("image rm", {"image rm [OPTIONS] IMAGE"}, "Remove an image (needs root)", Order::anywhere);
  return tool(flags, {"image", "rm"}, words);
}

Result<AnyCommand> parse_bench(const Words& words) { return BenchCommand{words}; }

Result<AnyCommand> parse_config_show(const Words& words) {
  return parse_config(ConfigCommand::What::show, "config show", "Print the settings in force", words);
}

Result<AnyCommand> parse_config_check(const Words& words) {
  return parse_config(ConfigCommand::What::check, "config check", "Check the configuration; start nothing", words);
}

Result<AnyCommand> parse_config_example(const Words& words) {
  return parse_config(ConfigCommand::What::example, "config example", "Print a complete commented configuration",
                      words);
}

Result<AnyCommand> parse_version(const Words& words) {
  FlagSet flags("version", {"version [OPTIONS]"}, "Print the version", Order::anywhere);
  VersionCommand command;
  flags.flag("--json", command.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  return command;
}

Result<AnyCommand> parse_serve(const Words& words) {
  if (!asks_help(words)) return usage_error("serve", "stands first on the command line");
  FlagSet flags("serve", {"serve [OPTIONS]"},
                "Serve the HTTP API (needs root: a small launcher keeps the privilege, the daemon has none).\n"
                "Every flag is also a setting: see lm-sandbox config example.",
                Order::anywhere);
  std::optional<std::string> text;
  bool set = false;
  flags.value("--listen", "ADDR:PORT", text, "Where HTTP is served; may be given again (default 127.0.0.1:8000)");
  flags.value("--ssh-listen", "ADDR:PORT", text, "Where SSH will be served; not yet");
  flags.value("--data-dir", "DIR", text, "Images, models and sandboxes' disks (default /var/lib/lm-sandbox)");
  flags.value("--run-dir", "DIR", text, "Sockets (default /run/lm-sandbox)");
  flags.value("--disks", "auto|store|memory", text,
              "Where kept sandboxes write to (default auto: a store if it can be)");
  flags.value("--socket-group", "NAME", text, "Who may use the socket beside root (default lm-sandbox)");
  flags.value("--runtime", "native", text, "Default runtime: only native today");
  flags.value("--default-image", "IMAGE", text,
              "Image for those who name none (default: what the first start chose: base if made, else host)");
  flags.value("--config", "FILE", text, "Configuration (default /etc/lm-sandbox/config.toml)");
  flags.value("--tls-cert", "FILE", text, "Certificate, PEM: HTTPS is served with it; with --tls-key");
  flags.value("--tls-key", "FILE", text, "Its private key, PEM, for root alone");
  flags.value("--allow-host", "NAME", text, "Another Host that requests may name; may be given again");
  flags.value("--allow-origin", "ORIGIN", text, "An Origin that browsers may come from; may be given again");
  flags.value("--llama-server", "FILE", text, "The llama-server to use");
  flags.value("--upstream", "URL", text, "OpenAI-compatible server behind /ollama/ (without a path: /v1)");
  flags.value("--upstream-model", "NAME", text, "Model to ask there");
  flags.value("--log-level", "debug|info|warning|error", text,
              "The least important events that are logged (default info)");
  flags.value("--log-format", "text|json", text, "How events are written to stderr (default text)");
  flags.value("--ready-fd", "N", text, "Descriptor that gets one line of JSON when ready");
  flags.flag("--offline", set, "Nothing beyond loopback and named upstreams");
  flags.flag("--stop-sandboxes", set, "Processes in sandboxes end with the daemon; disks stay");
  flags.flag("--die-with-parent", set, "The daemon ends with the program that started it, and its sandboxes with it");
  return HelpCommand{flags.help()};
}

}  // namespace lmsb::cli
