#include "guest/sudo_run.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "guest/become.h"
#include "guest/sudo_users.h"
#include "guest_protocol/sudo.h"

namespace lmsb::guest {
namespace {

using guest_protocol::kMaxSudoStrings;

constexpr const char* kHelp =
    "usage: sudo [-EHn] [-u user] [-g group] [-D directory] [NAME=value...] command [argument...]\n"
    "       sudo -i | -s [-u user] [command [argument...]]\n"
    "       sudo -h | -K | -k | -l | -v | -V\n"
    "The sandbox was made with the profile root: its user runs commands as anybody in it, without a password.\n";
constexpr const char* kList = "user may run the following commands in this sandbox:\n    (ALL : ALL) NOPASSWD: ALL\n";
constexpr const char* kVersion = "sudo of lm-sandbox\n";
constexpr const char* kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Of the caller's variables, without -E.
constexpr std::array<std::string_view, 8> kKept = {"COLORTERM", "DISPLAY", "LANG", "LANGUAGE",
                                                   "LS_COLORS", "TERM",    "TZ",   "XAUTHORITY"};

void write_out(int fd, std::string_view text) { (void)!::write(fd, text.data(), text.size()); }

// A text file of the sandbox, which may be anything: what is no file, or past the buffer, is not there.
template <std::size_t N>
std::string_view read_text(const char* path, std::array<char, N>& buffer) {
  const UniqueFd file(::open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0 || !S_ISREG(status.st_mode)) return {};
  std::size_t size = 0;
  while (size < buffer.size()) {
    const ssize_t n = ::read(file.get(), buffer.data() + size, buffer.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    size += static_cast<std::size_t>(n);
  }
  return {buffer.data(), size};
}

constexpr std::size_t kMaxFile = 256 * 1024;

std::string_view passwd() {
  static std::array<char, kMaxFile> text;
  static const std::string_view read = read_text("/etc/passwd", text);
  return read;
}

std::string_view groups() {
  static std::array<char, kMaxFile> text;
  static const std::string_view read = read_text("/etc/group", text);
  return read;
}

// Strings that are put together, in memory of fixed size: what does not fit is an empty one, and counted.
class Arena {
 public:
  static constexpr char kEnd = '\0';
  char* join(std::initializer_list<std::string_view> parts) {
    char* const begin = room_.data() + used_;
    for (const std::string_view part : parts) add(part);
    add({&kEnd, 1});
    return begin;
  }
  void add(std::string_view part) {
    if (part.size() > room_.size() - 1 - used_) return overflow();
    std::memcpy(room_.data() + used_, part.data(), part.size());
    used_ += part.size();
  }
  char* here() { return room_.data() + used_; }
  bool has_overflown() const { return overflown_; }

 private:
  void overflow() { overflown_ = true; }
  std::array<char, std::size_t{512} * 1024> room_{};  // the last is always 0
  std::size_t used_ = 0;
  bool overflown_ = false;
};

std::string_view name_of(std::string_view assignment) { return assignment.substr(0, assignment.find('=')); }

bool is_in(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::string_view one = list.substr(0, list.find(','));
    if (one == name) return true;
    list.remove_prefix(std::min(one.size() + 1, list.size()));
  }
  return false;
}

bool is_listed(const SudoArguments& arguments, std::string_view name) {
  return arguments.kept != nullptr && is_in(arguments.kept, name);
}

bool is_kept(const SudoArguments& arguments, std::string_view name) {
  if (arguments.keeps_all || is_listed(arguments, name)) return true;
  if (name == "SHELL") return arguments.shell;
  return name.starts_with("LC_") || std::find(kKept.begin(), kKept.end(), name) != kKept.end();
}

// A command's variables: one of each name, the last that was put there.
class Variables {
 public:
  void put(char* assignment) {
    const std::string_view name = name_of(assignment);
    for (std::size_t i = 0; i < count_; ++i)
      if (name_of(list_[i]) == name) {
        list_[i] = assignment;
        return;
      }
    overflown_ = count_ + 1 == list_.size();
    if (!overflown_) list_[count_++] = assignment;
  }
  const char* find(std::string_view name) const {
    for (std::size_t i = 0; i < count_; ++i)
      if (name_of(list_[i]) == name) return list_[i] + std::min(name.size() + 1, std::strlen(list_[i]));
    return nullptr;
  }
  char** list() { return list_.data(); }
  bool has_overflown() const { return overflown_; }

 private:
  std::array<char*, std::size_t{2} * kMaxSudoStrings + 32> list_{};
  std::size_t count_ = 0;
  bool overflown_ = false;
};

Arena arena;
Variables variables_of_command;

char* number(std::uint32_t value) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%u", value);
  return arena.join({text.data()});
}

// For who wants to know what was typed: of a long command the beginning.
char* command_variable(char* const* command) {
  constexpr std::size_t kMost = 4096;
  char* const begin = arena.here();
  arena.add("SUDO_COMMAND=");
  std::size_t left = kMost;
  for (char* const* word = command; *word != nullptr && left > 0; ++word) {
    if (word != command) arena.add(" ");
    arena.add(std::string_view(*word).substr(0, left));
    left -= std::min(left, std::strlen(*word) + 1);
  }
  (void)arena.join({});
  return begin;
}

// A command for `sh -c`: what a shell would read is what was typed.
char* quoted_words_of(char* const* command) {
  char* const begin = arena.here();
  for (char* const* word = command; *word != nullptr; ++word) {
    if (word != command) arena.add(" ");
    for (const char* at = *word; *at != '\0'; ++at) {
      const bool is_plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                            *at == '_' || *at == '-' || *at == '$' || static_cast<unsigned char>(*at) >= 0x80;
      if (!is_plain) arena.add("\\");
      arena.add({at, 1});
    }
  }
  (void)arena.join({});
  return begin;
}

void set_variables(const SudoArguments& arguments, const SudoCaller& caller, const SudoUser& user, char** given) {
  Variables& all = variables_of_command;
  for (; *given != nullptr; ++given)
    if (is_kept(arguments, name_of(*given)) && std::strchr(*given, '=') != nullptr) all.put(*given);
  if ((!arguments.keeps_all && !is_listed(arguments, "PATH")) || all.find("PATH") == nullptr)
    all.put(arena.join({"PATH=", guest_protocol::kSudoDirectory, ":", kPath}));
  const bool keeps = arguments.keeps_all && !arguments.login;
  if (!keeps || all.find("HOME") == nullptr) all.put(arena.join({"HOME=", user.home}));
  all.put(arena.join({"USER=", user.name}));
  all.put(arena.join({"LOGNAME=", user.name}));
  if (arguments.login || all.find("SHELL") == nullptr) all.put(arena.join({"SHELL=", user.shell}));
  std::array<char, 16> wanted{};
  std::snprintf(wanted.data(), wanted.size(), "#%u", caller.uid);
  SudoUser name;
  (void)find_user(passwd(), wanted.data(), name);
  all.put(arena.join({"SUDO_USER=", name.name}));
  all.put(arena.join({"SUDO_UID=", number(caller.uid)}));
  all.put(arena.join({"SUDO_GID=", number(caller.gid)}));
  for (std::size_t i = 0; i < arguments.assignment_count; ++i) all.put(arguments.assignments[i]);
}

// Groups first: who is not root any more has none to give. Root stays as it is: it has no other group.
int become(const SudoUser& user, std::uint32_t gid) {
  if (user.uid == 0 && gid == 0) return 0;
  std::array<gid_t, 64> members{};
  const std::size_t count = find_groups(groups(), user.name, gid, members);
  if (::setgroups(count, members.data()) < 0) return errno;
  if (::setresgid(gid, gid, gid) < 0 || ::setresuid(user.uid, user.uid, user.uid) < 0) return errno;
  return 0;
}

// What is run, as argv. With a shell: the shell, and the command as its text.
char** command_line(const SudoArguments& arguments, const SudoUser& user, char*& file) {
  static std::array<char*, 4> shell;
  if (!arguments.login && !arguments.shell) {
    file = arguments.command[0];
    return arguments.command;
  }
  const char* wanted = arguments.shell ? variables_of_command.find("SHELL") : nullptr;
  const std::string_view path = wanted != nullptr && *wanted != '\0' ? wanted : user.shell;
  file = arena.join({path.empty() ? "/bin/sh" : path});
  const std::string_view name = std::string_view(file).substr(std::string_view(file).rfind('/') + 1);
  shell[0] = arguments.login ? arena.join({"-", name}) : file;
  static char dash_c[] = "-c";  // NOLINT: execve wants char*
  if (*arguments.command != nullptr) {
    shell[1] = dash_c;
    shell[2] = quoted_words_of(arguments.command);
  }
  return shell.data();
}

int fail(const char* what, const char* word, int error) {
  std::array<char, 512> line{};
  const char* why = error == ENOENT ? "no such file or directory" : error == EACCES ? "permission denied" : "failed";
  std::snprintf(line.data(), line.size(), "%s %s: %s (error %d)", what, word, why, error);
  say_sudo(line.data());
  return 1;
}

}  // namespace

void say_sudo(const char* text, const char* word) {
  std::array<char, 640> line{};
  const int size = std::snprintf(line.data(), line.size(), "sudo: %s%s%s\n", text, *word == '\0' ? "" : " ", word);
  write_out(2, {line.data(), std::min(static_cast<std::size_t>(std::max(size, 0)), line.size() - 1)});
}

bool answer_alone(const SudoArguments& arguments, int& status) {
  status = 0;
  switch (arguments.action) {
    case SudoArguments::Action::run: return false;
    case SudoArguments::Action::nothing: break;
    case SudoArguments::Action::list: write_out(1, kList); break;
    case SudoArguments::Action::help: write_out(1, kHelp); break;
    case SudoArguments::Action::version: write_out(1, kVersion); break;
    case SudoArguments::Action::wrong:
      say_sudo(arguments.complaint, arguments.word);
      status = 1;
      break;
  }
  return true;
}

int run_as(const SudoArguments& arguments, const SudoCaller& caller, char** variables) {
  SudoUser user;
  const char* wanted = arguments.user == nullptr ? "root" : arguments.user;
  if (!find_user(passwd(), wanted, user)) return say_sudo("there is no user", wanted), 1;
  std::uint32_t gid = user.gid;
  if (arguments.group != nullptr && !find_group(groups(), arguments.group, gid))
    return say_sudo("there is no group", arguments.group), 1;
  set_variables(arguments, caller, user, variables);
  char* file = nullptr;
  char** const argv = command_line(arguments, user, file);
  variables_of_command.put(command_variable(arguments.command[0] != nullptr ? arguments.command : argv));
  char* const home = arena.join({user.home});
  if (arena.has_overflown() || variables_of_command.has_overflown())
    return say_sudo("arguments and variables are too long"), 1;
  if (const int error = become(user, gid); error != 0) return fail("become", wanted, error);
  ::umask((caller.umask | 022U) & 0777U);
  if (arguments.login) (void)::chdir(home);  // where there is no such directory, as sudo does
  if (arguments.directory != nullptr && ::chdir(arguments.directory) < 0)
    return fail("enter", arguments.directory, errno);
  const int error = execute(file, argv, variables_of_command.list());
  if (error == ENOENT) return say_sudo(file, "- command not found"), 1;
  return fail("run", file, error);
}

}  // namespace lmsb::guest
