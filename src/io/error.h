#pragma once
// What Asio's error codes are among our Errors.
#include <string_view>

#include <boost/system/error_code.hpp>

#include "base/error.h"

namespace lmsb::io {

// `what` names the step and its object: "read from 127.0.0.1:8000". operation_aborted is `cancelled`, the end of a
// stream and a lost connection are `unavailable`.
Error to_error(const boost::system::error_code& error, std::string_view what);

}  // namespace lmsb::io
