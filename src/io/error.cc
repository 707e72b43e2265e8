#include "io/error.h"

#include <string>

#include <boost/asio/error.hpp>

namespace lmsb::io {

Error to_error(const boost::system::error_code& error, std::string_view what) {
  const std::string step(what);
  if (error == boost::asio::error::operation_aborted) return Error(ErrorCode::cancelled, step).with_cause("cancelled");
  if (error == boost::asio::error::eof) return Error(ErrorCode::unavailable, step).with_cause("connection closed");
  if (error.category() == boost::system::system_category()) return Error::from_errno(error.value(), step);
  return Error(ErrorCode::unavailable, step).with_cause(error.message());
}

}  // namespace lmsb::io
