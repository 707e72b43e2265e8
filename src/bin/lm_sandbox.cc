// lm-sandbox: the daemon (`serve`) and the commands that speak to it.
#include <string>
#include <string_view>
#include <vector>

#include "cli/main_cli.h"
#include "serve/serve.h"

namespace {

// `serve --help` is the CLI's, as for every command.
bool asks_help(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "serve") {
    const std::vector<std::string> arguments(argv + 2, argv + argc);
    if (!asks_help(arguments)) return lmsb::serve::main_serve(arguments);
  }
  return lmsb::cli::main_cli(argc, argv);
}
