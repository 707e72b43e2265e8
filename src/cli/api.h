#pragma once
// Api: how commands speak to a daemon: one request, one JSON answer. The wire is behind an interface, so that tests
// answer in its place.
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "json/value.h"

namespace lmsb::cli {

struct Call {
  Call(std::string m, std::string t, std::string b = {})
      : method(std::move(m)), target(std::move(t)), body(std::move(b)) {}
  std::string method;                          // "POST"
  std::string target;                          // "/v1/run"
  std::string body;                            // JSON; empty = none
  std::chrono::milliseconds timeout{120'000};  // the whole exchange
  std::chrono::milliseconds silence{0};        // of send_for_lines(): how long no line may come; 0: for ever
  BorrowedFd stop = BorrowedFd(-1);  // of send() and send_for_lines(): ends it with `cancelled` when this can be read
  std::function<void(std::size_t octets)> moved;  // of send_octets() and send_for_octets(): told of each piece
};

struct Answer {
  int status = 0;
  std::string body;
};

// Takes one line of an answer that comes line by line. An Error ends the exchange.
using LineHandler = std::function<Status(std::string_view line)>;

class Api {
 public:
  virtual ~Api() = default;
  // Blocks until the answer is there or the time is over. Every HTTP status is a value; an Error means that there is
  // no answer.
  virtual Result<Answer> send(const Call& call) = 0;
  // The same for an answer in lines of JSON, each given to `handle` when it is there; the call's time is for the
  // beginning of the answer then. The body of a good answer is empty afterwards.
  virtual Result<Answer> send_for_lines(const Call& call, const LineHandler& handle) = 0;
  // Sends what can be read from `in` (a file, a pipe, a socket), to its end, instead of the call's body, in constant
  // memory; the call's time is for each piece of it.
  virtual Result<Answer> send_octets(const Call& call, int in) = 0;
  // The same for an answer of octets: those of a good one are written to `out` as they come, and its body is empty.
  virtual Result<Answer> send_for_octets(const Call& call, int out) = 0;
};

// The JSON of a good answer. A status of 400 and more becomes the Error that the answer's body describes.
Result<json::Document> call_json(Api& api, const Call& call);

// The Error that an answer of status >= 400 describes: our own shape, FastAPI's `detail`, or only the status.
Error error_of(const Answer& answer);

// Parses `text`; the error says what was to be parsed.
Result<json::Document> parse_json(std::string_view text, std::string_view what);

// Two-space indented, with a line break at the end: what --json prints.
std::string pretty(json::Value value);
// The same in one line, without a line break.
std::string compact(json::Value value);
// As pretty(), for JSON as text; text that is none stays as it is.
std::string pretty_text(std::string text);

// Fields of an answer, read leniently: an older or newer daemon may leave some out.
std::string text_field(json::Value value, std::string_view key);  // "" when not there
std::optional<double> number_field(json::Value value, std::string_view key);
bool flag_field(json::Value value, std::string_view key);  // false when not there

}  // namespace lmsb::cli
