#include "cli/command_parsers.h"

#include <algorithm>

#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

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

Result<AnyCommand> parse_copy(const Words& words) {
  FlagSet flags("cp", {"cp [OPTIONS] SANDBOX:SRC DEST", "cp [OPTIONS] SRC SANDBOX:DEST"},
                "Copy a file or a directory. In an existing directory it keeps its name; SRC/. is what is in SRC.\n"
                "'-' is a tar archive on stdin or stdout.",
                Order::anywhere);
  HostFlags host;
  CopyCommand command;
  bool as_always = false;
  add_target(flags, host);
  flags.flag("-q,--quiet", command.quiet, "Show no progress");
  flags.flag("-L,--follow-link", as_always, "Follow a link that SRC names: always so");
  flags.flag("--json", command.target.json, "Print JSON: what was copied, and what was left out");
  flags.instead("-a,--archive", false, "modes and links are kept; what is copied in belongs to the sandbox's user");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() != 2) return usage_error("cp", "needs a source and a destination");
  LMSB_TRY(command.from, parse_copy_place(parsed.words[0]));
  LMSB_TRY(command.to, parse_copy_place(parsed.words[1]));
  if (command.from.sandbox.empty() == command.to.sandbox.empty())
    return usage_error("cp", "exactly one side is SANDBOX:PATH");
  if (command.to.is_stream() && command.target.json)
    return Error(ErrorCode::invalid_argument, "cp: --json and an archive on stdout do not go together")
        .with_hint("leave --json out, or name a place to copy to");
  host.apply(command.target);
  return command;
}

Result<AnyCommand> parse_image_list(const Words& words) {
  FlagSet flags("image ls", {"image ls [OPTIONS]"}, "List images", Order::anywhere);
  HostFlags host;
  std::optional<std::string> data_dir;
  ImageListCommand command;
  add_private_target(flags, host, data_dir);
  add_quiet(flags, command.quiet, "Print names only");
  flags.flag("--json", command.target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (!parsed.words.empty()) return usage_error("image ls", "takes no words");
  command.target = target_of(host, command.target.json, data_dir);
  return command;
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
  FlagSet flags("model pull", {"model pull [OPTIONS] FILE|URL|NAME"}, "Take a GGUF model into the store",
                Order::anywhere);
  HostFlags host;
  std::optional<std::string> data_dir;
  std::optional<std::string> name;
  ModelPullCommand command;
  add_private_target(flags, host, data_dir);
  flags.value("--name", "NAME", name, "Name of the model (default: made from the source)");
  flags.flag("--json", command.target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() != 1) return usage_error("model pull", "needs one file, URL or name");
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
  bool json = false;
  flags.value("--system", "TEXT", system, "What the model should be");
  flags.flag("--json", json, "Print the whole answer to one question as JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  command.target = target_of(host, json, data_dir);
  command.system = system.value_or("");
  if (parsed.words.empty()) return command;
  command.model = parsed.words.front();
  command.question.assign(parsed.words.begin() + 1, parsed.words.end());
  return command;
}

Result<AnyCommand> parse_image_build(const Words& words) {
  FlagSet flags("image build", {"image build [OPTIONS] base|llama"}, "Make a built-in image", Order::anywhere);
  std::optional<std::string> mirror;
  bool verbose = false;
  flags.value("--mirror", "URL", mirror, "Take Debian packages from there (also MIRROR)");
  flags.flag("--verbose", verbose, "Show what is done");
  return tool(flags, {"image", "build"}, words);
}

Result<AnyCommand> parse_image_remove(const Words& words) {
  FlagSet flags("image rm", {"image rm [OPTIONS] IMAGE"}, "Remove an image", Order::anywhere);
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
  FlagSet flags(
      "serve", {"serve [OPTIONS]"},
      "Serve the HTTP API. As root a small launcher keeps the privilege, and the daemon has none; without root\n"
      "sandboxes are made in a user namespace (docs/user/rootless.md).\n"
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
