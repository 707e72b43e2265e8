#pragma once
// EndWatch: tells when the other end of a connection stops sending, or is gone, though there is input that nobody has
// read: a read would not come to the end, and Asio's waits do not tell it.
#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/unique_fd.h"

namespace lmsb::http {

class EndWatch {
 public:
  // `on_end` is called on `loop` at most once, and not after this is destroyed. `socket` stays open as long as this
  // lives. Where the kernel has no descriptor left, nothing is told.
  EndWatch(boost::asio::io_context& loop, BorrowedFd socket, std::function<void()> on_end);

 private:
  boost::asio::posix::stream_descriptor epoll_;
  std::shared_ptr<std::function<void()>> on_end_;
};

}  // namespace lmsb::http
