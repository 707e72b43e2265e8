#pragma once
// Read ahead: what a model's server streams is taken as it comes and kept for who reads more slowly, so that nobody
// holds a model up by not reading.
#include <memory>

#include <boost/asio/io_context.hpp>

#include "base/units.h"
#include "http/body.h"

namespace lmsb::control {

constexpr Bytes kMostReadAhead = Bytes::MiB(4);

// `octets` is let go of as soon as it has come to its end, or what this returns goes; `place` when that goes. Where
// more is kept than `most`, it ends with answer_not_read. `loop` outlives all.
std::shared_ptr<http::BodyReader> read_ahead(boost::asio::io_context& loop, std::shared_ptr<http::BodyReader> octets,
                                             std::shared_ptr<const void> place, Bytes most = kMostReadAhead);

}  // namespace lmsb::control
