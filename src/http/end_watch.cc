#include "http/end_watch.h"

#include <sys/epoll.h>
#include <utility>

namespace lmsb::http {

EndWatch::EndWatch(boost::asio::io_context& loop, BorrowedFd socket, std::function<void()> on_end)
    : epoll_(loop), on_end_(std::make_shared<std::function<void()>>(std::move(on_end))) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLRDHUP;  // with EPOLLHUP and EPOLLERR, always
  if (!epoll || ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket.get(), &event) != 0) return;
  boost::system::error_code failed;
  epoll_.assign(epoll.get(), failed);
  if (failed) return;
  (void)epoll.release();
  std::weak_ptr<std::function<void()>> told = on_end_;
  epoll_.async_wait(decltype(epoll_)::wait_read, [told](const boost::system::error_code& error) {
    const auto handler = told.lock();
    if (!error && handler) (*handler)();
  });
}

}  // namespace lmsb::http
