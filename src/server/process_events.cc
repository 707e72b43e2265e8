#include "server/process_events.h"

#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "server/answers.h"
#include "server/exec_result.h"

namespace lmsb::server {
namespace {

std::string_view name_of(control::Stream stream) { return stream == control::Stream::err ? "stderr" : "stdout"; }

void write_cmd(json::Writer& out, const std::variant<std::string, control::Argv>& cmd) {
  if (const auto* text = std::get_if<std::string>(&cmd)) {
    out.string(*text);
  } else {
    write_texts(out, std::get<control::Argv>(cmd));
  }
}

}  // namespace

void write_process(json::Writer& out, const control::ProcessInfo& info) {
  out.begin_object().key("id").string(info.id).key("sandbox_id").string(info.sandbox_id);
  write_cmd(out.key("cmd"), info.cmd);
  out.key("cwd").string(info.cwd).key("pid").integer(info.pid);
  out.key("state").string(info.result ? "ended" : "running");
  out.key("attached").boolean(info.is_attached);
  string_or_null(out.key("session"), info.session);
  out.key("stdin").boolean(info.has_stdin).key("pty").boolean(info.has_terminal);
  out.key("merge_stderr").boolean(info.merge_stderr);
  out.key("timeout_ms").integer(info.timeout.count());
  out.key("started_at").string(info.started_at);
  string_or_null(out.key("ended_at"), info.ended_at);
  out.key("result");
  if (info.result) {
    out.begin_object();
    write_ending_fields(out, *info.result);
    out.end_object();
  } else {
    out.null();
  }
  out.end_object();
}

TextPieces::Piece TextPieces::add(Piece next) {
  // Where octets are lost in between, what waited can never be completed: it is presented with what comes now.
  Piece piece = std::exchange(waiting_, {});
  piece.offset = next.offset - piece.data.size();
  if (piece.data.empty()) piece.came_ms = next.came_ms;
  piece.lost = next.lost;
  piece.data += next.data;
  const std::size_t incomplete = incomplete_utf8_end(piece.data);
  waiting_.data = piece.data.substr(piece.data.size() - incomplete);
  waiting_.came_ms = incomplete < piece.data.size() ? next.came_ms : piece.came_ms;
  piece.data.resize(piece.data.size() - incomplete);
  waiting_.offset = piece.offset + piece.data.size();
  return piece;
}

TextPieces::Piece TextPieces::rest() { return std::exchange(waiting_, {}); }

StreamEvent output_event(control::Stream stream, const TextPieces::Piece& piece) {
  json::Writer out;
  out.begin_object().key("type").string(name_of(stream)).key("offset").unsigned_integer(piece.offset);
  if (piece.lost > 0) out.key("missing_bytes").unsigned_integer(piece.lost);
  if (piece.came_ms != 0) out.key("at").string(rfc3339_of_boottime(piece.came_ms));
  if (is_utf8(piece.data)) {
    out.key("text").string(piece.data);
  } else {
    out.key("base64").string(base64_encode(piece.data));
  }
  out.end_object();
  return {std::move(out).str(), std::string(name_of(stream)), {}};
}

io::Task<std::optional<StreamEvent>> CommandEvents::next(io::Deadline deadline) {
  while (!is_over_) {
    LMSB_CO_TRY(auto event, co_await stream_->next(deadline));
    if (!event || event->kind == control::CommandEvent::Kind::result) {
      is_over_ = true;
      if (event) result_ = std::move(event->result);
      break;
    }
    if (auto taken = take(*std::move(event))) co_return taken;
  }
  co_return last();
}

std::optional<StreamEvent> CommandEvents::take(control::CommandEvent event) {
  if (event.kind == control::CommandEvent::Kind::output) {
    TextPieces::Piece next{event.offset, std::move(event.data), event.lost, event.came_ms};
    const auto piece = texts_[static_cast<std::size_t>(event.stream)].add(std::move(next));
    if (piece.data.empty() && piece.lost == 0) return std::nullopt;
    return output_event(event.stream, piece);
  }
  json::Writer out;
  out.begin_object().key("type").string("started").key("process");
  out.begin_object().key("pid").integer(event.pid);
  if (!event.process.empty()) out.key("id").string(event.process);
  out.end_object().end_object();
  return StreamEvent{std::move(out).str(), "started", {}};
}

// What is left to say when no more comes: characters without their ends, then the result.
std::optional<StreamEvent> CommandEvents::last() {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    const auto piece = texts_[i].rest();
    if (!piece.data.empty()) return output_event(static_cast<control::Stream>(i), piece);
  }
  if (!result_) return std::nullopt;
  json::Writer out;
  out.begin_object().key("type").string("result");
  write_ending_fields(out, *std::exchange(result_, std::nullopt));
  out.end_object();
  return StreamEvent{std::move(out).str(), "result", {}};
}

}  // namespace lmsb::server
