#pragma once
// Metered answers: what an answer of a model's server has cost, counted where it passes.
//
// The server says it itself: `usage` of a whole answer, and of a stream where the request asks for it or its API always
// says it; else `timings` of a stream's last event. Of an answer that ends without either (who asked has gone, or the
// server has died) what has been seen counts: an event is a token at least, and so are four octets of its text, and two
// of the request. That is an estimate: a tokenizer may make more of them.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "control/control.h"
#include "control/model_allowance.h"

namespace lmsb::control {

struct TokenCount {
  std::uint64_t prompt = 0;
  std::uint64_t completion = 0;
  bool operator==(const TokenCount&) const = default;
};

// What one JSON object of a model's server says that it has cost; nothing: it says nothing. The server may be in the
// hands of a hostile model: what no answer can cost is no number.
std::optional<TokenCount> tokens_in(std::string_view object);
// What a request of that many octets counts for where nobody says.
std::uint64_t estimated_prompt(std::size_t octets);

// Counts for a stream, each of its answers (`choices[].index`) for itself.
class StreamMeter {
 public:
  explicit StreamMeter(std::size_t request_octets) : prompt_(estimated_prompt(request_octets)) {}
  // The next octets of the stream, split anywhere.
  void add(std::string_view octets);
  TokenCount count() const;

 private:
  struct Answer {
    std::uint64_t events = 0;
    std::uint64_t octets = 0;  // of its text
    std::optional<TokenCount> said;
  };
  void look_at(std::string_view line);
  void count_unread(std::string_view part);

  std::string line_;     // that has begun; no longer than kMaxLine
  bool is_cut_ = false;  // its line is longer: it is not looked at, and its octets count as text
  const std::uint64_t prompt_;
  std::map<std::int64_t, Answer> answers_;  // the last one stands for all that are too many
  std::uint64_t begun_ = 0;                 // tokens of the prompt whose answer has begun, where that says so
  std::uint64_t closings_ = 0;              // events that say what an answer has cost, and not which
  TokenCount closed_;                       // their sum
};

// Asks a model for `allowance`, as `ask` does it: within what it may, and counted. A stream is read ahead. Nothing is
// counted of a request that surely did not come to the model's server. What `ask` gives as the answer's place is kept
// until all has come from there; the answer's place is then the allowance's. Errors, beside those of `ask`:
// model_not_found, model_tokens_used, model_rate_limited, several_answers (which its budget could not bound).
using AskModel = std::function<io::Task<ModelAnswer>(ModelRequest request)>;
using CountTokens = std::function<void(const TokenCount& tokens)>;
io::Task<ModelAnswer> ask_within(std::shared_ptr<ModelAllowance> allowance, ModelRequest request, AskModel ask,
                                 CountTokens counted);

}  // namespace lmsb::control
