#pragma once
// StreamBody: a stream of control's as an answer's body.
#include <memory>

#include "control/files.h"
#include "http/body.h"

namespace lmsb::server {

class StreamBody final : public http::BodySource {
 public:
  explicit StreamBody(std::unique_ptr<control::FileStream> stream) : stream_(std::move(stream)) {}
  io::Task<std::string> next() override { return stream_->read(); }

 private:
  std::unique_ptr<control::FileStream> stream_;
};

}  // namespace lmsb::server
