#pragma once
// SudoArguments: the command line of sudo, taken apart. Pure.
#include <array>
#include <cstddef>
#include <cstdint>

namespace lmsb::guest {

// Pointers lead into the command line.
struct SudoArguments {
  enum class Action : std::uint8_t {
    run,
    nothing,  // a password that is not asked for is valid, or forgotten
    list,
    help,
    version,
    wrong,  // `complaint` about `word`
  };
  Action action = Action::run;
  const char* user = nullptr;  // a name, or "#" and a number; none: root
  const char* group = nullptr;
  const char* directory = nullptr;
  bool login = false;
  bool shell = false;
  bool keeps_all = false;                // variables
  const char* kept = nullptr;            // names of variables, with commas
  bool forgets = false;                  // with a command this means nothing
  std::array<char*, 256> assignments{};  // NAME=VALUE, wherever they stood before the command
  std::size_t assignment_count = 0;
  char** command = nullptr;  // NULL-terminated; may be empty with `login` or `shell`
  const char* complaint = nullptr;
  const char* word = "";
};

// `arguments`: NULL-terminated, without the program's name.
SudoArguments parse_sudo(char** arguments);

}  // namespace lmsb::guest
