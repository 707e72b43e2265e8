#pragma once
// Reading a pipe whose other holders are not trusted.
//
// Whether read(2) waits on an empty pipe is a property of the open file, shared with everybody who holds it: who made
// the pipe may clear O_NONBLOCK at any moment and hang an event loop that relies on it. What is here does not wait for
// octets.
#include <cstddef>
#include <sys/types.h>

namespace lmsb::os {

// Whether `fd` is the reading end of a pipe, or a FIFO open for reading.
bool is_readable_pipe(int fd);

// Reads what is there, at most `size` octets. As read(2) of a non-blocking pipe, whatever mode the pipe has: 0 is the
// end, -1 with EAGAIN means that there is nothing now. But it waits for the pipe's lock, which others may keep
// (io/foreign_pipe.h).
ssize_t read_pipe_now(int pipe, void* buffer, std::size_t size);

// The way of kernels before 6.4, whose pipes do not know RWF_NOWAIT: by a pipe of our own. For tests; else of
// read_pipe_now().
ssize_t read_pipe_by_splice(int pipe, void* buffer, std::size_t size);

}  // namespace lmsb::os
