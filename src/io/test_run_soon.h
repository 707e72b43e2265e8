#pragma once
// For tests: runs a task to its end on a loop on which whatever else there is may wait for good.
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "base/assert.h"
#include "io/run_blocking.h"
#include "io/spawn.h"
#include "io/task.h"

namespace lmsb::io {

template <class T>
T run_soon(boost::asio::io_context& loop, Always<T> task) {
  std::optional<T> result;
  spawn(loop, detail::keep(std::move(task), &result));
  loop.restart();
  loop.poll();
  LMSB_ASSERT(result.has_value());
  return *std::move(result);
}

}  // namespace lmsb::io
