#include "guest/file_program.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/file_answer.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

struct Operation {
  std::string_view name;
  std::size_t arguments;
  void (*run)(char* const*);
};
constexpr std::array<Operation, 20> kOperations = {{
    {"stat", 1, file_stat},
    {"read", 1, file_read},
    {"write", 3, file_write},
    {"write", 5, file_write},
    {"list", 4, file_list},
    {"mkdir", 3, file_make_directory},
    {"mkdir", 4, file_make_directory},
    {"move", 3, file_move},
    {"copy", 3, file_copy},
    {"remove", 2, file_remove},
    {"remove", 3, file_remove},
    {"chmod", 3, file_chmod},
    {"chmod", 4, file_chmod},
    {"glob", 3, file_glob},
    {"grep", 6, file_grep},
    {"replace", 5, file_replace},
    {"pack", 3, file_pack},
    {"unpack", 2, file_unpack},
    {"unpack", 3, file_unpack},
    {"watch", 2, file_watch},
}};

// A walk holds a descriptor for each directory it is in.
void allow_many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

void run_files(char* const* argv) {
  (void)sys::close_range(STDERR_FILENO + 1, ~0U, 0);  // how it was started is behind it
  (void)::signal(SIGXFSZ, SIG_IGN);                   // a limit is an error to be told
  allow_many_descriptors();
  ::umask(0);  // modes are as they are asked for
  std::size_t count = 0;
  while (argv[1 + count] != nullptr) ++count;
  for (const Operation& operation : kOperations)
    if (operation.name == argv[0] && operation.arguments == count) operation.run(argv + 1);
  answer::failed(argv[0], ENOSYS);
}

}  // namespace lmsb::guest
