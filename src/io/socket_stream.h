#pragma once
// SocketStream: octets over a connected socket, on one loop. No call waits in the kernel, whatever mode the socket has:
// other holders of it need not be trusted. One read, one write and one hung_up() at a time.
#include <cstddef>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "io/deadline.h"
#include "io/held_socket.h"
#include "io/task.h"
#include "io/wait_fd.h"

namespace lmsb::io {

class SocketStream {
 public:
  SocketStream(const boost::asio::any_io_executor& loop, HeldSocket socket);

  // Reads what is there, at most `size` octets, waiting until there is something; 0 is the end. `buffer` outlives it.
  // Others on the loop have their turn, and cancelling is heard, however fast the other end sends.
  Task<std::size_t> read_some(char* buffer, std::size_t size, Deadline deadline = Deadline::never());
  // Writes all of `data`, which outlives the task, as the other end takes it.
  Task<void> write_all(std::string_view data, Deadline deadline = Deadline::never());
  // Whether it is over in both directions, as far as this end knows.
  bool is_hung_up() const;
  // Waits until it is, or until the other end does what no stream here has (urgent octets). Errors: deadline_exceeded,
  // cancelled.
  Task<void> hung_up(Deadline deadline = Deadline::never());
  // Nothing more will be written.
  void end_writing();
  // Ends it in both directions, and every wait: those with `cancelled`. The descriptor stays open.
  void end();

 private:
  HeldSocket socket_;
  FdWatch watch_;  // after the socket: ends before it
  bool is_over_ = false;
  unsigned reads_in_a_row_ = 0;  // without a wait in between
};

}  // namespace lmsb::io
