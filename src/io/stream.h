#pragma once
// FdStream: a byte stream over a descriptor it owns (pipe, terminal, stream socket), on one loop.
//
// Made non-blocking on construction, unless it was already: note that this is a property of the open file, shared with
// other descriptors of it. One read and one write at a time. Writing to a closed pipe or socket is an Error; the
// program must ignore SIGPIPE.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "base/unique_fd.h"
#include "base/units.h"
#include "io/deadline.h"
#include "io/task.h"
#include "io/wait_fd.h"

namespace lmsb::io {

class FdStream {
 public:
  FdStream(const boost::asio::any_io_executor& loop, UniqueFd fd);

  // Reads what is there, at most `size` octets, waiting until there is something; 0 is the end. `buffer` outlives it.
  Task<std::size_t> read_some(char* buffer, std::size_t size, Deadline deadline = Deadline::never());
  // Reads to the end. More than `limit` is resource_exhausted.
  Task<std::string> read_all(Bytes limit, Deadline deadline = Deadline::never());
  // Writes all of `data`, waiting when the other end is slow.
  Task<void> write_all(std::string data, Deadline deadline = Deadline::never());

  BorrowedFd fd() const { return fd_; }
  // Gives the descriptor back, no longer watched.
  UniqueFd release() &&;

 private:
  UniqueFd fd_;
  FdWatch watch_;  // after fd_: ends before it
};

}  // namespace lmsb::io
