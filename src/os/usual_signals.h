#pragma once
// What a process has of signals from whoever started it: nohup ignores SIGHUP, a shell SIGINT and SIGQUIT of what it
// starts with &, a service manager SIGPIPE. Neither exec nor CLONE_CLEAR_SIGHAND undoes it, so all that is started from
// there has it, too: commands in sandboxes, in the end.

namespace lmsb::os {

// Every signal does from now on what it does by itself, and none is blocked. For a process with one thread, before it
// says what it wants of signals.
void set_usual_signals();

}  // namespace lmsb::os
