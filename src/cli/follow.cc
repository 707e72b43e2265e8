#include "cli/follow.h"

#include <map>

#include "base/text.h"
#include "cli/requests.h"

namespace lmsb::cli {
namespace {

std::string octets_of(json::Value event) {
  if (auto decoded = base64_decode(text_field(event, "base64")); decoded && !decoded->empty()) return *decoded;
  return text_field(event, "text");
}

// What has been printed of one stream so far.
struct Stream {
  std::string_view name;
  double next_offset = 0;
};

// The streams of one process.
struct Streams {
  Stream out{"stdout"};
  Stream err{"stderr"};
};

std::string print(json::Value event, Stream& stream, Console& console) {
  std::string octets = octets_of(event);
  const double offset = number_field(event, "offset").value_or(0);
  if (offset > stream.next_offset)
    note(console, std::to_string(static_cast<std::uint64_t>(offset - stream.next_offset)) + " bytes of " +
                      std::string(stream.name) + " are lost: more was written than is kept");
  stream.next_offset = offset + static_cast<double>(octets.size());
  return octets;
}

// Prints events, and remembers how the command ended.
class Printer {
 public:
  Printer(Console& console, const Started& started) : console_(console), started_(started) {}

  Status take(std::string_view line) {
    LMSB_TRY(const auto event, parse_json(line, "an event of the daemon"));
    const std::string type = text_field(event.root(), "type");
    Streams& streams = streams_of(text_field(event.root(), "process"), type);
    if (type == "stdout") {
      console_.out(print(event.root(), streams.out, console_));
    } else if (type == "stderr") {
      console_.err(print(event.root(), streams.err, console_));
    } else if (type == "result") {
      followed.has_ended = true;
      note_end(event.root(), console_);
      followed.exit_status = exit_status_of(event.root());
    } else if (type == "started" && started_) {
      const auto process = event.root().find("process");
      const std::string id = process ? text_field(*process, "id") : "";
      if (!id.empty()) started_(id);
    }
    return check_reader(console_);
  }

  Followed followed;

 private:
  // Where events name their process (those of a sandbox's log) a line tells whose output follows, as tail(1) does.
  Streams& streams_of(const std::string& process, const std::string& type) {
    const bool is_output = type == "stdout" || type == "stderr";
    if (is_output && process != shown_) {
      console_.out((shown_.empty() ? "==> " : "\n==> ") + process + " <==\n");
      shown_ = process;
    }
    return streams_[process];
  }

  Console& console_;
  const Started& started_;
  std::map<std::string, Streams> streams_;
  std::string shown_;
};

}  // namespace

Status check_reader(const Console& console) {
  if (console.complete()) return {};
  return Error(ErrorCode::cancelled, "nobody reads the output any more");
}

Result<Followed> follow(Api& api, const Call& call, bool wants_end, Console& console, const Started& started) {
  Printer printer(console, started);
  LMSB_TRY(const auto answer, api.send_for_lines(call, [&](std::string_view line) { return printer.take(line); }));
  if (answer.status >= 400) return error_of(answer);
  if (wants_end && !printer.followed.has_ended)
    return Error(ErrorCode::unavailable, "the daemon ended before the command did").with_slug("sandbox_lost");
  return printer.followed;
}

}  // namespace lmsb::cli
