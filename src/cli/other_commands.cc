// help, version, and the commands that another program of ours carries out: image build, image rm, bench.
#include <cerrno>
#include <csignal>
#include <unistd.h>

#include "cli/command_table.h"
#include "cli/commands.h"
#include "cli/connection.h"

namespace lmsb::cli {
namespace {

// Becomes `program`; returns only when that fails.
Error become(const std::string& program, Words words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::signal(SIGPIPE, SIG_DFL);  // ours is ignored, which exec would hand on
  ::execv(program.c_str(), argv.data());
  return Error::from_errno(errno, "start " + program);
}

}  // namespace

Result<int> execute(const HelpCommand& command, Console& console) {
  console.out(help_text(command.manual));
  return 0;
}

Result<int> execute(const OverviewCommand& command, Console& console) {
  console.out(overview(command.of));
  return 0;
}

Result<int> execute(const VersionCommand& command, Console& console) {
  if (command.json) {
    console.out(pretty_text(R"({"version":")" LMSB_VERSION R"("})"));
  } else {
    console.out("lm-sandbox " LMSB_VERSION "\n");
  }
  return 0;
}

Result<int> execute(const ToolCommand& command, Console& /*console*/) {
  Words words{"lm-sandbox-tool"};
  words.insert(words.end(), command.words.begin(), command.words.end());
  LMSB_TRY(const std::string program, program_beside("lm-sandbox-tool"));
  return become(program, std::move(words));
}

Result<int> execute(const BenchCommand& command, Console& /*console*/) {
  auto program = program_beside("lm-sandbox-bench");
  if (!program.ok()) {
    return Error(ErrorCode::not_found, "the measuring program is not installed")
        .with_hint("in the source tree: make bench");
  }
  Words words{"lm-sandbox-bench"};
  words.insert(words.end(), command.words.begin(), command.words.end());
  return become(*program, std::move(words));
}

}  // namespace lmsb::cli
