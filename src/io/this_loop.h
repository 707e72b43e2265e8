#pragma once
// The loop that a task runs on, for those that were not given it.
#include <boost/asio/io_context.hpp>

#include "io/task.h"

namespace lmsb::io {

Always<boost::asio::io_context*> this_loop();

}  // namespace lmsb::io
