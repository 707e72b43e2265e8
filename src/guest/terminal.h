#pragma once
// Terminals: pairs of the sandbox's own devpts. The guest holds the master, the command gets the other end as its
// controlling terminal. Each returns 0 or an errno.
#include <cstdint>

#include "base/unique_fd.h"

namespace lmsb::guest {

struct Terminal {
  UniqueFd master;   // does not block
  UniqueFd command;  // the command's end, which belongs to its user
};
// `user`: whose the command is.
int open_terminal(std::uint16_t columns, std::uint16_t rows, std::uint32_t user, Terminal& terminal);
int resize_terminal(int master, std::uint16_t columns, std::uint16_t rows);

// In the command's process, a session leader: makes `fd` its controlling terminal and its stdin, stdout and stderr.
int take_terminal(int fd);

}  // namespace lmsb::guest
