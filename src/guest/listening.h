#pragma once
// Of sockets that the guest has made for the daemon, which listens on them.

namespace lmsb::guest {

// What is asked for there is refused at once from now on, and what waits to be accepted is reset; what has been
// accepted stays. The socket keeps its port, and may listen again. Of one that does not listen, or of none: nothing.
void stop_listening(int socket);

}  // namespace lmsb::guest
