// chat: a conversation with a model, at a terminal or over a pipe.
#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/conversation.h"
#include "cli/exit_status.h"
#include "cli/follow.h"
#include "cli/interrupts.h"
#include "cli/question_reader.h"
#include "cli/terminal.h"

namespace lmsb::cli {
namespace {

constexpr std::size_t kMaxQuestion = QuestionReader::kMaxQuestion;
constexpr std::string_view kHelp =
    "/clear          forget what was said\n"
    "/system TEXT    say what the model should be, and forget what was said\n"
    "/help           this\n"
    "/bye            leave; so does Ctrl-D\n"
    "\"\"\"             begins and ends a question of several lines\n"
    "Ctrl-C          end an answer\n";

// One conversation and where it is shown.
class Chat {
 public:
  Chat(Api& api, const ChatCommand& command, Console& console)
      : api_(api), conversation_(command.model, command.system), console_(console), on_terminal_(::isatty(1) != 0) {}

  // Asks once; the answer ends when `stop` can be read. Whether there is an answer.
  bool ask(const std::string& question, BorrowedFd stop = BorrowedFd(-1)) {
    bool was_thought = false;
    bool has_shown = false;
    const auto print = [&](const Conversation::Part& part) -> Status {
      show(part, was_thought);
      was_thought = part.is_thought;
      has_shown = true;
      return check_reader(console_);
    };
    const auto ended = conversation_.ask(api_, question, print, stop);
    if (ended.ok() || has_shown) console_.out("\n");
    if (!ended.ok()) {
      report(console_, ended.error());
      if (ended.error().slug() == "context_length_exceeded" && conversation_.size() > 0)
        note(console_, "/clear forgets what was said and makes room");
      return false;
    }
    if (*ended == "length") note(console_, "the answer was cut: there is no room left for more");
    return true;
  }

  // Reads questions until the input ends.
  void talk(Interrupts& interrupts) {
    QuestionReader reader(BorrowedFd(STDIN_FILENO), interrupts.fd(), [this](std::string_view p) { console_.out(p); });
    while (console_.complete()) {
      interrupts.clear();
      const auto question = reader.next();
      if (!question && reader.end() == QuestionReader::End::input) break;
      if (!question) {
        if (reader.end() == QuestionReader::End::too_long) note(console_, "a question of more than 1 MiB is not sent");
        console_.out("\n");
      } else if (question->is_command) {
        if (!obey(question->text)) return;
      } else if (question->text.find_first_not_of(" \t\n") != std::string::npos) {
        (void)ask(question->text, interrupts.fd());  // one that came since the question was read is meant for it
      }
    }
    console_.out("\n");
  }

 private:
  void show(const Conversation::Part& part, bool was_thought) {
    if (part.is_thought) {
      if (console_.color()) console_.out(colored(console_, Color::dim, without_controls(part.text)));
      return;
    }
    if (was_thought && console_.color()) console_.out("\n\n");
    console_.out(on_terminal_ ? without_controls(part.text) : part.text);
  }

  // Whether the conversation goes on.
  bool obey(const std::string& words) {
    const std::size_t end = std::min(words.find(' '), words.size());
    const std::string verb = words.substr(0, end);
    if (verb == "/bye" || verb == "/exit" || verb == "/quit") return false;
    if (verb == "/clear") {
      conversation_.forget();
    } else if (verb == "/system") {
      conversation_.set_system(words.substr(std::min(end + 1, words.size())));
      conversation_.forget();
    } else if (verb == "/help" || verb == "/?") {
      console_.out(kHelp);
    } else {
      note(console_, "there is no " + verb + "; /help lists what there is");
    }
    return true;
  }

  Api& api_;
  Conversation conversation_;
  Console& console_;
  const bool on_terminal_;
};

// All of stdin. Error: more than anybody asks.
Result<std::string> read_all() {
  std::string all;
  std::array<char, 4096> piece{};
  ssize_t n = 0;
  while ((n = ::read(STDIN_FILENO, piece.data(), piece.size())) != 0) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::from_errno(errno, "read the question");
    all.append(piece.data(), static_cast<std::size_t>(n));
    if (all.size() > kMaxQuestion)
      return Error(ErrorCode::invalid_argument, "the question is longer than " + format_bytes(Bytes(kMaxQuestion)));
  }
  return all;
}

// Whether somebody gives text on stdin: a file or a pipe, not a terminal or /dev/null.
bool is_fed() {
  struct stat kind {};
  return ::fstat(STDIN_FILENO, &kind) == 0 && (S_ISFIFO(kind.st_mode) || S_ISREG(kind.st_mode));
}

std::string joined(const Words& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// Says what model it is where that is not what somebody asked for.
Status introduce(Api& api, const ChatCommand& command, Console& console) {
  LMSB_TRY(const auto answer, call_json(api, Call("GET", "/v1/models")));
  const auto models = answer.root().find("data");
  for (const json::Value model : models ? models->items() : std::vector<json::Value>()) {
    const std::string id = text_field(model, "id");
    const bool is_meant = command.model.empty() ? flag_field(model, "default") : id == command.model;
    if (!is_meant) continue;
    if (flag_field(model, "demonstration")) {
      note(console,
           "this is the demonstration model: it shows that all of it works, and knows very little "
           "(lm-sandbox model pull takes a real one)");
    } else if (command.model.empty()) {
      note(console, "the model is " + id);
    }
  }
  return {};
}

}  // namespace

Result<int> execute(const ChatCommand& command, Console& console) {
  const bool is_conversation = command.question.empty() && is_on_terminal();
  if (is_conversation && command.target.json)
    return Error(ErrorCode::invalid_argument, "chat: --json is of one question")
        .with_hint("write it behind the model, or give it on stdin");
  // Before the connection: a private daemon must not take Ctrl-C for the end.
  std::optional<Interrupts> interrupts;
  if (is_conversation) interrupts.emplace();
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::allowed, console));
  LMSB_CHECK(introduce(*connection, command, console));
  Chat chat(*connection, command, console);
  if (is_conversation) {
    console.out("/help lists what can be typed, Ctrl-D leaves\n");
    chat.talk(*interrupts);
    return kOk;
  }
  std::string question = joined(command.question);
  if (question.empty() || is_fed()) {
    LMSB_TRY(const std::string rest, read_all());
    if (!question.empty() && !rest.empty()) question += "\n\n";
    question += rest;
  }
  if (question.empty())
    return Error(ErrorCode::invalid_argument, "chat: there is no question")
        .with_hint("write it behind the model, or give it on stdin");
  if (command.target.json) {
    LMSB_TRY(const auto answer, Conversation(command.model, command.system).ask_whole(*connection, question));
    console.out(pretty(answer.root()));
    return kOk;
  }
  return chat.ask(question) ? kOk : kFailed;
}

}  // namespace lmsb::cli
