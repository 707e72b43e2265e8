#pragma once
// What a command does, as JSON objects one by one (interfaces.md, processes): {"type":"started","process"},
// {"type":"stdout"|"stderr","offset","text"|"base64"}, {"type":"result",...}. Output has "at", when it came, where that
// is asked for, and "missing_bytes" where octets before it are lost.
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "control/process_service.h"
#include "json/writer.h"
#include "server/event_stream.h"

namespace lmsb::server {

void write_process(json::Writer& out, const control::ProcessInfo& info);

// Makes pieces of one stream into text: what ends in the middle of a character waits for the rest of it.
class TextPieces {
 public:
  struct Piece {
    std::uint64_t offset = 0;
    std::string data;
    std::uint64_t lost = 0;     // before it
    std::uint64_t came_ms = 0;  // its first octet; CLOCK_BOOTTIME, 0 = not told
  };
  // The next piece and what it makes presentable; `data` is empty when all of it has to wait.
  Piece add(Piece next);
  // What waited in vain.
  Piece rest();

 private:
  Piece waiting_;
};

// {"type":"stdout","offset":0,"text":"..."}; "base64" where the octets are no text.
StreamEvent output_event(control::Stream stream, const TextPieces::Piece& piece);

// A command that is followed.
class CommandEvents final : public EventSequence {
 public:
  explicit CommandEvents(std::shared_ptr<control::CommandStream> stream) : stream_(std::move(stream)) {}
  io::Task<std::optional<StreamEvent>> next(io::Deadline deadline) override;

 private:
  std::optional<StreamEvent> take(control::CommandEvent event);
  std::optional<StreamEvent> last();

  std::shared_ptr<control::CommandStream> stream_;
  std::array<TextPieces, guest_protocol::kStreams> texts_;
  std::optional<control::ExecResult> result_;  // to be told when the texts are complete
  bool is_over_ = false;
};

}  // namespace lmsb::server
