// completion and __complete: the script for a shell, and the answers that it asks for: one a line, behind a tab what it
// is; ":files" and ":directories" leave those to the shell. Whatever fails is silent: somebody is typing.
#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/completion_script.h"
#include "cli/connection.h"
#include "cli/daemon_choice.h"
#include "cli/exit_status.h"

namespace lmsb::cli {
namespace {

constexpr std::chrono::milliseconds kPatience{1000};
constexpr unsigned kEnoughSeconds = 2;  // whatever hangs: a resolver, a full socket

class SilentConsole final : public Console {
 public:
  void out(std::string_view /*octets*/) override {}
  void err(std::string_view /*octets*/) override {}
};

std::string path_of(const Completion& completion) {
  switch (completion.names) {
    case Names::sandboxes: return "/v1/sandboxes";
    case Names::images: return "/v1/images";
    case Names::models: return "/v1/models";
    case Names::processes: return sandbox_url(completion.sandbox) + "/processes";
    case Names::sessions: return sandbox_url(completion.sandbox) + "/sessions";
    case Names::snapshots:
      return completion.sandbox.empty() ? "/v1/snapshots" : "/v1/snapshots?sandbox=" + url_segment(completion.sandbox);
    case Names::volumes: return "/v1/volumes";
    case Names::keys: return "/v1/keys";
    case Names::none: break;
  }
  return "";
}

// What to type for `item`, and what it is. An id is offered where there is no name, and when it is what is typed.
Words names_of(const Completion& completion, json::Value item) {
  const std::string name = text_field(item, "name");
  const std::string id = text_field(item, "id");
  // Snapshots of several sandboxes may have one name.
  const bool may_be_anothers = completion.names == Names::snapshots && completion.sandbox.empty();
  if (name.empty() || may_be_anothers) return {id};
  return completion.name_prefix.empty() || id.empty() ? Words{name} : Words{name, id};
}

std::string about(Names names, json::Value item) {
  switch (names) {
    case Names::sandboxes: return text_field(item, "image") + ", " + text_field(item, "state");
    case Names::processes:
    case Names::sessions: return text_field(item, "state");
    case Names::snapshots: return text_field(item, "name") + " of " + text_field(item, "created_at");
    default: return "";
  }
}

// A word that a shell would take for more than a word is not offered: a daemon elsewhere may have made it up.
bool is_plain(const std::string& word) {
  const auto is_plain_octet = [](unsigned char c) {
    return std::isalnum(c) != 0 || (c != 0 && std::strchr("-_.:/=@+", c) != nullptr);
  };
  return !word.empty() && std::all_of(word.begin(), word.end(), is_plain_octet);
}

void print(Console& console, const std::string& word, const std::string& about) {
  if (!is_plain(word)) return;
  console.out(word + (about.empty() ? "" : "\t" + printable(about)) + "\n");
}

// The answer's first page is enough for somebody who is choosing.
Status print_names(const Completion& completion, Console& console) {
  if (!may_have_key_unasked(completion.host, surroundings_of_this_process().host_variable))
    ::unsetenv("LM_SANDBOX_API_KEY");  // this process does nothing else
  SilentConsole silence;
  Target target;
  target.host = completion.host;
  if (!completion.ca.empty()) target.ca = completion.ca;
  LMSB_TRY(const auto connection, Connection::open(target, PrivateDaemonUse::senseless, silence));
  Call call("GET", path_of(completion));
  call.timeout = kPatience;
  LMSB_TRY(const auto answer, connection->send(call));
  LMSB_TRY(const auto document, parse_json(answer.body, "the answer"));
  const auto data = document.root().find("data");
  if (!data) return {};
  for (const json::Value item : data->items()) {
    for (const std::string& name : names_of(completion, item)) {
      if (name.starts_with(completion.name_prefix))
        print(console, name + completion.behind, about(completion.names, item));
    }
  }
  return {};
}

}  // namespace

Result<int> execute(const CompletionCommand& command, Console& console) {
  console.out(completion_script(command.shell));
  return kOk;
}

Result<int> execute(const CompleteCommand& command, Console& console) {
  ::signal(SIGALRM, [](int) { ::_exit(kOk); });
  ::alarm(kEnoughSeconds);
  const Completion completion = complete(command.words);
  for (const Candidate& candidate : completion.candidates) print(console, candidate.word, candidate.about);
  if (completion.names != Names::none) (void)print_names(completion, console);  // silent: see above
  if (completion.files) console.out(":files\n");
  if (completion.directories) console.out(":directories\n");
  return kOk;
}

}  // namespace lmsb::cli
