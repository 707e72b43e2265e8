#pragma once
// What a command writes to one of its streams, as octets: for programs that want nothing else of it. How it ended
// stands behind the body (X-Outcome, X-Exit-Code). Where octets are lost the body breaks off: nobody takes a part for
// the whole.
#include <cstdint>
#include <memory>
#include <string>

#include "control/process_service.h"
#include "http/body.h"
#include "http/message.h"

namespace lmsb::server {

// Whether the client wants octets more than what else a command's output can be: JSON and events.
bool wants_octets(const http::Headers& headers);

class CommandOctets final : public http::BodySource {
 public:
  // From `offset` on. `relay` is the one of `events`, or null; then the octets come as data.
  CommandOctets(std::shared_ptr<control::CommandStream> events, control::Stream stream, std::uint64_t offset,
                std::shared_ptr<io::PipeRelay> relay);

  io::Task<std::string> next() override;
  io::Task<http::BodyPiece> next_piece() override;
  http::Headers trailer() const override { return trailer_; }

 private:
  Result<http::BodyPiece> take(control::CommandEvent event);
  Status end(const control::ExecResult& result);

  std::shared_ptr<control::CommandStream> events_;
  control::Stream stream_;
  std::uint64_t offset_;  // of what comes next
  std::shared_ptr<io::PipeRelay> relay_;
  http::Headers trailer_;
};

// 200 with them as body.
http::Response octets_answer(std::shared_ptr<CommandOctets> octets);

}  // namespace lmsb::server
