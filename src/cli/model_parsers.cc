// env, and model show, ps, load, unload, rm: words about models that are there.
#include "base/text.h"
#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

}  // namespace

Result<AnyCommand> parse_model_show(const Words& words) {
  FlagSet flags("model show", {"model show [OPTIONS] MODEL"},
                "Show what a model is, and what memory it takes to serve it", Order::anywhere);
  HostFlags host;
  std::optional<std::string> data_dir;
  ModelShowCommand command;
  add_private_target(flags, host, data_dir);
  flags.flag("--json", command.target.json, "Print JSON, with all that is known of it");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() != 1 || any_empty(parsed.words))
    return usage_error("model show", "needs the name of a model");
  command.target = target_of(host, command.target.json, data_dir);
  command.model = parsed.words.front();
  return command;
}

Result<AnyCommand> parse_env(const Words& words) {
  FlagSet flags("env", {"env [OPTIONS] openai|anthropic|ollama"},
                "Print the variables by which the programs of an API find the daemon's models:\n"
                "eval \"$(lm-sandbox env openai)\"",
                Order::anywhere);
  EnvCommand command;
  const SandboxWords one{1, 1, "needs one of openai, anthropic, ollama"};
  LMSB_TRY(const auto program, parse_sandboxes(flags, "env", one, command.target, words));
  if (!program) return HelpCommand{flags.help()};
  command.program = program->front();
  for (const char* known : {"openai", "anthropic", "ollama"})
    if (command.program == known) return command;
  return usage_error("env", "knows openai, anthropic and ollama, and no " + quoted(command.program));
}

Result<AnyCommand> parse_model_processes(const Words& words) {
  FlagSet flags("model ps", {"model ps [OPTIONS]"}, "List loaded models, and what they are at", Order::anywhere);
  ModelProcessesCommand command;
  LMSB_TRY(const auto none, parse_sandboxes(flags, "model ps", {0, 0, "takes no words"}, command.target, words));
  if (!none) return HelpCommand{flags.help()};
  return command;
}

Result<AnyCommand> parse_model_load(const Words& words) {
  FlagSet flags("model load", {"model load [OPTIONS] MODEL"},
                "Have a model loaded before anybody asks it, and say how long it stays", Order::anywhere);
  ModelLoadCommand command;
  std::optional<std::string> keep_alive;
  flags.flag("--pin", command.pin, "Never let it go for another model's room");
  flags.flag("--unpin", command.unpin, "Let it go again when another one needs its room");
  flags.one_of({"--pin", "--unpin"});
  flags.value("--keep-alive", "DURATION", keep_alive,
              "How long it stays after its last answer: 30m, or none: as long as there is room");
  const SandboxWords one{1, 1, "needs the name of a model"};
  LMSB_TRY(const auto model, parse_sandboxes(flags, "model load", one, command.target, words));
  if (!model) return HelpCommand{flags.help()};
  LMSB_CHECK(convert("--keep-alive", keep_alive, parse_life, command.keep_alive));
  command.model = model->front();
  return command;
}

Result<AnyCommand> parse_model_unload(const Words& words) {
  FlagSet flags("model unload", {"model unload [OPTIONS] MODEL [MODEL...]"},
                "Let models go, each when it has given the answers that it is at", Order::anywhere);
  ModelUnloadCommand command;
  const SandboxWords some{1, SIZE_MAX, "needs the name of a model"};
  LMSB_TRY(auto models, parse_sandboxes(flags, "model unload", some, command.target, words));
  if (!models) return HelpCommand{flags.help()};
  command.models = *std::move(models);
  return command;
}

Result<AnyCommand> parse_model_remove(const Words& words) {
  FlagSet flags(
      "model rm", {"model rm [OPTIONS] MODEL [MODEL...]"},
      "Remove models from the store; one that is loaded is let go when it has given the answers that it is at",
      Order::anywhere);
  HostFlags host;
  std::optional<std::string> data_dir;
  ModelRemoveCommand command;
  add_private_target(flags, host, data_dir);
  flags.flag("-f,--force", command.force, "One that is not there is fine");
  flags.flag("--json", command.target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.empty() || any_empty(parsed.words)) return usage_error("model rm", "needs the name of a model");
  command.target = target_of(host, command.target.json, data_dir);
  command.models = std::move(parsed.words);
  return command;
}

}  // namespace lmsb::cli
