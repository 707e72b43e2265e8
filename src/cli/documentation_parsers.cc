// completion, __complete, man: what the program tells shells and manual readers about itself.
#include <algorithm>

#include "cli/command_parsers.h"
#include "cli/completion_script.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {

Result<AnyCommand> parse_completion(const Words& words) {
  FlagSet flags("completion", {std::string("completion ") + kShells},
                "Print what lets a shell complete commands, flags, and the names of sandboxes, images and models:\n"
                "  bash   source <(lm-sandbox completion bash)    in ~/.bashrc\n"
                "  zsh    source <(lm-sandbox completion zsh)     in ~/.zshrc, behind compinit\n"
                "  fish   lm-sandbox completion fish | source     in ~/.config/fish/config.fish\n"
                "'make install' puts these where the shells look for them.",
                FlagSet::Order::anywhere);
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  const Words shells = choices_of(kShells);
  if (parsed.words.size() != 1 || std::find(shells.begin(), shells.end(), parsed.words[0]) == shells.end())
    return usage_error("completion", std::string("say which shell: ") + kShells);
  return CompletionCommand{parsed.words[0]};
}

Result<AnyCommand> parse_complete(const Words& words) {
  if (words.empty() || words.front() != "--") return usage_error("__complete", "is for shells: __complete -- WORD...");
  return CompleteCommand{Words(words.begin() + 1, words.end())};
}

Result<AnyCommand> parse_man(const Words& words) {
  FlagSet flags("man", {"man [OPTIONS] [PAGE]"},
                "Print a manual page, to be read with man: lm-sandbox man run | man -l -\n"
                "PAGE is a command, its words joined by '-' (image-build), or lm-sandbox.toml; without it, lm-sandbox.",
                FlagSet::Order::anywhere);
  std::optional<std::string> directory;
  flags.value("--write", "DIR", directory, "Write all pages into the folders man1 and man5 of DIR");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() > (directory ? 0U : 1U)) return usage_error("man", "takes one page, or --write DIR");
  if (directory && directory->empty()) return usage_error("man", "--write needs a directory");
  return ManCommand{parsed.words.empty() ? "" : parsed.words[0], directory.value_or("")};
}

}  // namespace lmsb::cli
