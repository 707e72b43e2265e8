#include "guest/sudo_arguments.h"

#include <array>
#include <cstring>
#include <string_view>

namespace lmsb::guest {
namespace {

using Action = SudoArguments::Action;

struct Option {
  char letter;
  const char* name;
  bool has_value;
};

// What asks for a password, and what belongs to one, means nothing here: nobody asks for any.
constexpr std::array<Option, 21> kOptions = {{{'A', "askpass", false},
                                              {'B', "bell", false},
                                              {'C', "close-from", true},
                                              {'D', "chdir", true},
                                              {'E', "preserve-env", false},
                                              {'g', "group", true},
                                              {'H', "set-home", false},
                                              {'h', "help", false},
                                              {'i', "login", false},
                                              {'K', "remove-timestamp", false},
                                              {'k', "reset-timestamp", false},
                                              {'l', "list", false},
                                              {'N', "no-update", false},
                                              {'n', "non-interactive", false},
                                              {'P', "preserve-groups", false},
                                              {'p', "prompt", true},
                                              {'S', "stdin", false},
                                              {'s', "shell", false},
                                              {'u', "user", true},
                                              {'V', "version", false},
                                              {'v', "validate", false}}};

const Option* find(char letter) {
  for (const Option& option : kOptions)
    if (option.letter == letter) return &option;
  return nullptr;
}

const Option* find(std::string_view name) {
  for (const Option& option : kOptions)
    if (name == option.name) return &option;
  return nullptr;
}

// As in a shell: what stands before "=" is a name, and no path.
bool is_assignment(const char* word) {
  const char* const equals = std::strchr(word, '=');
  return equals != nullptr && equals != word &&
         std::memchr(word, '/', static_cast<std::size_t>(equals - word)) == nullptr;
}

void complain(SudoArguments& parsed, const char* complaint, const char* word) {
  if (parsed.action == Action::wrong) return;
  parsed.action = Action::wrong;
  parsed.complaint = complaint;
  parsed.word = word;
}

void apply(SudoArguments& parsed, char letter, const char* value) {
  switch (letter) {
    case 'u': parsed.user = value; break;
    case 'g': parsed.group = value; break;
    case 'D': parsed.directory = value; break;
    case 'E': parsed.keeps_all = true; break;
    case 'i': parsed.login = true; break;
    case 's': parsed.shell = true; break;
    case 'h': parsed.action = Action::help; break;
    case 'V': parsed.action = Action::version; break;
    case 'l': parsed.action = Action::list; break;
    case 'k': parsed.forgets = true; break;
    case 'K':
    case 'v': parsed.action = Action::nothing; break;
    default: break;
  }
}

// One argument that begins with "--". Returns whether the next one was its value.
bool take_long(SudoArguments& parsed, const char* word, const char* next) {
  const std::string_view text(word + 2);
  const std::string_view name = text.substr(0, text.find('='));
  const char* value = name.size() < text.size() ? word + 2 + name.size() + 1 : nullptr;
  const Option* option = find(name);
  if (option == nullptr) return complain(parsed, "there is no option", word), false;
  if (option->letter == 'E' && value != nullptr) return parsed.kept = value, false;
  if (!option->has_value && value != nullptr) return complain(parsed, "takes no value:", word), false;
  const bool takes_next = option->has_value && value == nullptr;
  if (takes_next) value = next;
  if (option->has_value && value == nullptr) return complain(parsed, "needs a value:", word), false;
  apply(parsed, option->letter, value);
  return takes_next;
}

// Letters behind one "-". Returns whether the next argument was a value.
bool take_letters(SudoArguments& parsed, const char* word, const char* next) {
  for (const char* at = word + 1; *at != '\0'; ++at) {
    const Option* option = find(*at);
    if (option == nullptr) return complain(parsed, "there is no option", word), false;
    if (!option->has_value) {
      apply(parsed, *at, nullptr);
      continue;
    }
    const char* value = at[1] != '\0' ? at + 1 : next;
    if (value == nullptr) return complain(parsed, "needs a value:", word), false;
    apply(parsed, *at, value);
    return at[1] == '\0';
  }
  return false;
}

}  // namespace

SudoArguments parse_sudo(char** arguments) {
  SudoArguments parsed;
  char** at = arguments;
  while (*at != nullptr) {
    char* const word = *at;
    if (std::strcmp(word, "--") == 0) {
      ++at;
      break;
    }
    if (word[0] != '-' || word[1] == '\0') {
      if (!is_assignment(word)) break;
      if (parsed.assignment_count == parsed.assignments.size()) complain(parsed, "too many variables:", word);
      if (parsed.action == Action::wrong) break;
      parsed.assignments[parsed.assignment_count++] = word;
      ++at;
      continue;
    }
    const bool takes_next = word[1] == '-' ? take_long(parsed, word, at[1]) : take_letters(parsed, word, at[1]);
    at += takes_next ? 2 : 1;
  }
  parsed.command = at;
  if (parsed.action != Action::run) return parsed;
  if (parsed.login && parsed.shell) complain(parsed, "only one of them can be:", "-i -s");
  if (*at == nullptr && !parsed.login && !parsed.shell) {
    if (parsed.forgets) return parsed.action = Action::nothing, parsed;
    complain(parsed, "which command? See", "sudo --help");
  }
  return parsed;
}

}  // namespace lmsb::guest
