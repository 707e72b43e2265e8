#include "guest/terminal.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace lmsb::guest {

int open_terminal(std::uint16_t columns, std::uint16_t rows, std::uint32_t user, Terminal& terminal) {
  terminal.master.reset(::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (!terminal.master) return errno;
  const int locked = 0;
  if (::ioctl(terminal.master.get(), TIOCSPTLCK, &locked) < 0) return errno;
  // By descriptor: no name in /dev/pts is ever looked up.
  terminal.command.reset(::ioctl(terminal.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.command) return errno;
  // The group stays tty's: programs that write to terminals expect it.
  if (::fchown(terminal.command.get(), user, static_cast<gid_t>(-1)) < 0) return errno;
  return resize_terminal(terminal.master.get(), columns, rows);
}

int resize_terminal(int master, std::uint16_t columns, std::uint16_t rows) {
  winsize size{};
  size.ws_col = columns;
  size.ws_row = rows;
  return ::ioctl(master, TIOCSWINSZ, &size) < 0 ? errno : 0;
}

int take_terminal(int fd) {
  if (::ioctl(fd, TIOCSCTTY, 0) < 0) return errno;
  for (const int standard : {0, 1, 2})
    if (::dup2(fd, standard) < 0) return errno;
  return 0;
}

}  // namespace lmsb::guest
