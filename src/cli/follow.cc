#include "cli/follow.h"

#include <algorithm>

#include "base/text.h"
#include "cli/requests.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

// How much of one stream has come so far.
struct Stream {
  std::uint64_t next_offset = 0;
  bool begins_line = true;  // what comes next does
};

// A piece of output from its offset on.
struct Piece {
  std::uint64_t offset = 0;
  std::string octets;
  std::uint64_t lost = 0;  // before it, of what was asked for
  std::string at;          // when it came; "" = not told
};

// What of an event is new: what comes before the beginning is passed over.
Piece take_piece(json::Value event, Stream& stream) {
  Piece piece;
  piece.offset = static_cast<std::uint64_t>(number_field(event, "offset").value_or(0));
  piece.octets = octets_of(event);
  piece.at = text_field(event, "at");
  const std::uint64_t end = piece.offset + piece.octets.size();
  if (piece.offset < stream.next_offset) {
    piece.octets.erase(0, stream.next_offset - piece.offset);
    piece.offset = std::min(end, stream.next_offset);
  } else {
    const auto missing = static_cast<std::uint64_t>(number_field(event, "missing_bytes").value_or(0));
    piece.lost = std::min(missing, piece.offset - stream.next_offset);
  }
  stream.next_offset = std::max(end, stream.next_offset);
  return piece;
}

// {"process":"prc_...","type":"stdout","offset":0,"text":"..."}
std::string event_text(const std::string& process, const std::string& type, const Piece& piece) {
  json::Writer out;
  out.begin_object();
  if (!process.empty()) out.key("process").string(process);
  out.key("type").string(type).key("offset").unsigned_integer(piece.offset);
  if (piece.lost > 0) out.key("missing_bytes").unsigned_integer(piece.lost);
  if (!piece.at.empty()) out.key("at").string(piece.at);
  if (is_utf8(piece.octets)) {
    out.key("text").string(piece.octets);
  } else {
    out.key("base64").string(base64_encode(piece.octets));
  }
  return std::move(out.end_object()).str();
}

// The octets, with the piece's time in front of each line that begins in it.
std::string dated(const Piece& piece, Stream& stream) {
  std::string text;
  for (std::size_t begin = 0; begin < piece.octets.size();) {
    if (stream.begins_line && !piece.at.empty()) text += piece.at + " ";
    const std::size_t end = std::min(piece.octets.find('\n', begin), piece.octets.size() - 1) + 1;
    text.append(piece.octets, begin, end - begin);
    stream.begins_line = text.back() == '\n';
    begin = end;
  }
  return text;
}

// Any other event, with the id of its process.
std::string event_text(const std::string& process, json::Value event) {
  std::string text = compact(event);
  const bool names_it = process.empty() || event.find("process");
  if (!names_it) text.insert(1, "\"process\":" + json::quote(process) + ",");
  return text;
}

// Prints events, and remembers how the command ended.
class Printer {
 public:
  Printer(Console& console, const Started& started, const Shown& shown)
      : console_(console), started_(started), how_(shown) {}

  Status take(std::string_view line) {
    LMSB_TRY(const auto event, parse_json(line, "an event of the daemon"));
    const std::string type = text_field(event.root(), "type");
    if (type == "stdout" || type == "stderr") {
      print(event.root(), type);
    } else {
      take_other(event.root(), type);
    }
    return check_reader(console_);
  }

  // What ends a document.
  void finish() {
    if (how_.form == EventForm::json_document)
      console_.out(printed_ == 0 ? "{\"data\":[],\"next_cursor\":null}\n" : "\n],\"next_cursor\":null}\n");
  }

  Followed followed;

 private:
  void print(json::Value event, const std::string& type) {
    const std::string process = text_field(event, "process");
    Stream& stream = stream_of(process, type);
    const Piece piece = take_piece(event, stream);
    if (piece.octets.empty() && piece.lost == 0) return;
    if (how_.form != EventForm::octets)
      return print_json(event_text(process.empty() ? how_.process : process, type, piece));
    head(process);
    if (piece.lost > 0)
      note(console_, std::to_string(piece.lost) + " bytes of " + type + " are lost: more was written than is kept");
    const std::string text = how_.timestamps ? dated(piece, stream) : piece.octets;
    type == "stdout" ? console_.out(text) : console_.err(text);
  }

  void take_other(json::Value event, const std::string& type) {
    if (type == "result") {
      followed.has_ended = true;
      followed.exit_status = exit_status_of(event);
      if (how_.form == EventForm::octets) note_end(event, console_);
    } else if (type == "started" && started_) {
      const auto process = event.find("process");
      const std::string id = process ? text_field(*process, "id") : "";
      if (!id.empty()) started_(id);
    }
    if (how_.form != EventForm::octets) print_json(event_text(how_.process, event));
  }

  void print_json(const std::string& text) {
    if (how_.form == EventForm::json_document) {
      console_.out((printed_ == 0 ? "{\"data\":[\n" : ",\n") + text);
    } else {
      console_.out(text + "\n");
    }
    ++printed_;
  }

  // Where events name their process (those of a sandbox's log) a line tells whose output follows, as tail(1) does.
  void head(const std::string& process) {
    if (process == headed_) return;
    console_.out((headed_.empty() ? "==> " : "\n==> ") + process + " <==\n");
    headed_ = process;
  }

  Stream& stream_of(const std::string& process, const std::string& name) {
    const std::pair<std::string, std::string> which(process, name);
    const auto [entry, is_new] = streams_.try_emplace(which);
    const auto beginning = how_.beginnings.find(which);
    if (is_new && beginning != how_.beginnings.end()) entry->second.next_offset = beginning->second;
    return entry->second;
  }

  Console& console_;
  const Started& started_;
  const Shown& how_;
  std::map<std::pair<std::string, std::string>, Stream> streams_;
  std::string headed_;
  std::size_t printed_ = 0;  // objects
};

}  // namespace

Status check_reader(const Console& console) {
  if (console.complete()) return {};
  return Error(ErrorCode::cancelled, "nobody reads the output any more");
}

std::string octets_of(json::Value event) {
  if (auto decoded = base64_decode(text_field(event, "base64")); decoded && !decoded->empty()) return *decoded;
  return text_field(event, "text");
}

Result<Followed> follow(Api& api, const Call& call, bool wants_end, Console& console, const Started& started,
                        const Shown& shown) {
  Printer printer(console, started, shown);
  LMSB_TRY(const auto answer, api.send_for_lines(call, [&](std::string_view line) { return printer.take(line); }));
  if (answer.status >= 400) return error_of(answer);
  if (wants_end && !printer.followed.has_ended)
    return Error(ErrorCode::unavailable, "the daemon ended before the command did").with_slug("sandbox_lost");
  printer.finish();
  return printer.followed;
}

}  // namespace lmsb::cli
