#include "io/this_loop.h"

#include <boost/asio/execution/context.hpp>
#include <boost/asio/this_coro.hpp>

namespace lmsb::io {

namespace asio = boost::asio;

// Whatever starts tasks here does it on an io_context.
Always<asio::io_context*> this_loop() {
  const auto loop = co_await asio::this_coro::executor;
  co_return &static_cast<asio::io_context&>(asio::query(loop, asio::execution::context));
}

}  // namespace lmsb::io
