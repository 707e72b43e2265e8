#pragma once
// Task<T>: an asynchronous operation that ends in a Result<T>. Started when awaited, runs on the io_context of who
// awaits it, one thread. Cancelled through Asio's cancellation slots: whoever awaits decides.
#include <boost/asio/awaitable.hpp>

#include "base/result.h"

namespace lmsb::io {

template <class T>
using Task = boost::asio::awaitable<Result<T>>;

// An operation that cannot fail (its errors are part of T).
template <class T>
using Always = boost::asio::awaitable<T>;

}  // namespace lmsb::io
