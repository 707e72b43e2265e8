#pragma once
// The caller's own terminal: its size, its raw mode, and somebody who puts it back whatever happens.
#include <csignal>
#include <functional>
#include <optional>
#include <termios.h>

#include "base/result.h"

namespace lmsb::cli {

struct WindowSize {
  unsigned columns = 80;
  unsigned rows = 24;
};

// Whether stdin and stdout are terminals.
bool is_on_terminal();
// What to say where they are not, and should be.
Error no_terminal();
// Of stdout; 80 x 24 where it has none.
WindowSize window_size();

// Raw from construction to destruction: every key goes through as it is. Nothing happens where stdin is no terminal.
class RawMode {
 public:
  RawMode();
  ~RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;

 private:
  std::optional<termios> before_;
};

// While it lives the signals that ask this process to end wait; those that have come are heard afterwards.
class EndingSignalsHeld {
 public:
  EndingSignalsHeld();
  ~EndingSignalsHeld();
  EndingSignalsHeld(const EndingSignalsHeld&) = delete;
  EndingSignalsHeld& operator=(const EndingSignalsHeld&) = delete;

 private:
  sigset_t before_{};
};

// Runs `session` in a child process and returns its exit status. However the child ends (also by SIGKILL), the terminal
// is as it was before; signals that ask this process to end are passed on to the child, which gets SIGTERM when this
// process goes without: it should heed that by putting the terminal back. Errors: those of starting it, and a child
// that was killed. The process has one thread.
Result<int> run_guarded(const std::function<int()>& session);

}  // namespace lmsb::cli
