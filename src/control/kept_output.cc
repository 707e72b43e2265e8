#include "control/kept_output.h"

#include <algorithm>
#include <utility>

namespace lmsb::control {
namespace {

using guest_client::Before;
using guest_client::Piece;
using guest_client::Times;

// Whether who reads such a verdict takes what came before it for all that there was.
bool is_of_all(const ExecResult& result) {
  return result.outcome != Outcome::lost && result.outcome != Outcome::cancelled;
}

Times times_of(bool by_time) { return by_time ? Times::wanted : Times::unwanted; }

// Leaves out what stands at `end` or behind it; UINT64_MAX is no end.
void cut_at(Piece& piece, std::uint64_t end) {
  if (end == UINT64_MAX || (piece.offset < end && end - piece.offset > piece.data.size())) return;
  piece.offset = std::min(piece.offset, end);
  piece.data.resize(end - piece.offset);
  piece.ended = true;
}

// No process has written before it began.
std::uint64_t came_ms(const ProcessRecord& record, const Piece& piece) {
  return piece.data.empty() ? 0 : std::max(piece.came_ms, record.began_ms);
}

bool is_failure(const ProcessRecord& record, Stream stream) {
  return stream == record.failure_stream() && !record.failure.empty();
}

OutputPiece piece_of_failure(const ProcessRecord& record, const OutputAsked& asked) {
  OutputPiece piece;
  piece.end = record.failure.size();
  piece.offset = std::min(asked.offset, asked.end);
  piece.ended = true;
  const std::uint64_t end = std::min(piece.end, asked.end);
  if (piece.offset >= end) return piece;
  piece.data = record.failure.substr(piece.offset, end - piece.offset);
  if (asked.by_time) piece.came_ms = record.ended_ms;
  return piece;
}

class KeptStream final : public CommandStream {
 public:
  KeptStream(std::shared_ptr<ProcessRecord> record, FollowFrom from)
      : record_(std::move(record)), from_(from), reading_(record_) {}

  io::Task<std::optional<CommandEvent>> next(io::Deadline deadline) override {
    const auto record = record_;
    while (!is_over_) {
      const std::uint64_t seen = record->process.news();
      bool all_ended = true;
      std::optional<Error> cut;  // what keeps the rest of a stream from coming
      for (std::size_t i = 0; i < from_.offsets.size(); ++i) {
        turn_ = (turn_ + 1) % from_.offsets.size();
        if (!from_.offsets[turn_] || has_ended_[turn_]) continue;
        const std::uint64_t asked = *from_.offsets[turn_];
        auto piece = co_await record->process.read(static_cast<Stream>(turn_), asked, now(), Before::kept,
                                                   times_of(from_.by_time));
        if (!piece.ok() && !record->process.is_out_of_reach()) co_return std::move(piece).error();
        if (!piece.ok()) {
          cut = std::move(piece).error();  // its verdict is all that comes
          continue;
        }
        cut_at(*piece, from_.ends[turn_]);
        const bool is_all_lost = piece->ended && piece->data.empty() && piece->offset > asked;
        if (!piece->data.empty() || is_all_lost) co_return output(*record, *std::move(piece));
        has_ended_[turn_] = piece->ended;
        all_ended = all_ended && piece->ended;
      }
      const bool is_known = all_ended && record->info.result;
      if (cut && (is_known ? is_of_all(*record->info.result) : !from_.wait)) co_return *std::move(cut);
      if (is_known) co_return last(*record);
      if (!from_.wait) break;
      // The end of the process itself is told by its record.
      if (all_ended) LMSB_CO_CHECK(co_await record->changed.wait(deadline));
      if (!all_ended) LMSB_CO_CHECK(co_await record->process.wait_news(seen, deadline));
    }
    end();
    co_return std::optional<CommandEvent>();
  }

 private:
  static io::Deadline now() { return io::Deadline::in(std::chrono::milliseconds(0)); }
  void end() {
    is_over_ = true;
    reading_.end();
  }
  std::optional<CommandEvent> output(const ProcessRecord& record, Piece piece) {
    CommandEvent event;
    event.kind = CommandEvent::Kind::output;
    event.stream = static_cast<Stream>(turn_);
    event.offset = piece.offset;
    event.lost = piece.offset - *from_.offsets[turn_];
    if (from_.by_time) event.came_ms = came_ms(record, piece);
    event.data = std::move(piece.data);
    from_.offsets[turn_] = event.offset + event.data.size();
    return event;
  }
  std::optional<CommandEvent> last(const ProcessRecord& record) {
    const auto which = static_cast<std::size_t>(record.failure_stream());
    if (auto& offset = from_.offsets[which]) {
      OutputAsked asked;
      asked.offset = *offset;
      asked.end = from_.ends[which];
      asked.by_time = from_.by_time;
      OutputPiece failure = piece_of_failure(record, asked);
      if (!failure.data.empty()) return of_failure(record, std::move(failure), offset);
    }
    end();
    CommandEvent event;
    event.kind = CommandEvent::Kind::result;
    event.result = record.info.result;
    return event;
  }
  static CommandEvent of_failure(const ProcessRecord& record, OutputPiece failure,
                                 std::optional<std::uint64_t>& offset) {
    CommandEvent event;
    event.kind = CommandEvent::Kind::output;
    event.stream = record.failure_stream();
    event.offset = failure.offset;
    event.came_ms = failure.came_ms;
    event.data = std::move(failure.data);
    offset = event.offset + event.data.size();
    return event;
  }

  std::shared_ptr<ProcessRecord> record_;
  FollowFrom from_;
  std::array<bool, guest_protocol::kStreams> has_ended_{};  // each that has given all
  std::size_t turn_ = 0;
  bool is_over_ = false;
  Reading reading_;
};

}  // namespace

io::Task<OutputPiece> read_kept(std::shared_ptr<ProcessRecord> record, OutputAsked asked) {
  if (is_failure(*record, asked.stream)) co_return piece_of_failure(*record, asked);
  const Reading reading(record);
  LMSB_CO_TRY(auto piece, co_await record->process.read(asked.stream, asked.offset, io::Deadline::in(asked.wait),
                                                        Before::kept, times_of(asked.by_time)));
  cut_at(piece, asked.end);
  OutputPiece out;
  out.offset = piece.offset;
  if (asked.by_time) out.came_ms = came_ms(*record, piece);
  out.data = std::move(piece.data);
  out.end = piece.end;
  out.ended = piece.ended;
  co_return out;
}

io::Task<OutputSpan> find_kept(std::shared_ptr<ProcessRecord> record, Stream stream, OutputPeriod period) {
  OutputSpan span;
  if (is_failure(*record, stream)) {
    if (record->ended_ms < period.since_ms) span.begin = record->failure.size();
    span.end = record->ended_ms > period.until_ms ? span.begin : record->failure.size();
    co_return span;
  }
  const guest_client::Period asked{period.since_ms, period.until_ms};
  LMSB_CO_TRY(const auto found, co_await record->process.find(stream, asked));
  span.begin = found.begin;
  span.end = found.end;
  co_return span;
}

std::shared_ptr<CommandStream> follow_kept(std::shared_ptr<ProcessRecord> record, FollowFrom from) {
  return std::make_shared<KeptStream>(std::move(record), from);
}

}  // namespace lmsb::control
