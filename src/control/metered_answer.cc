#include "control/metered_answer.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "control/read_ahead.h"
#include "http/body.h"
#include "json/value.h"

namespace lmsb::control {
namespace {

constexpr std::size_t kMaxLine = std::size_t{1} << 20U;
constexpr std::int64_t kMostTokens = 100'000'000;  // of one answer
constexpr std::int64_t kMostAnswers = 64;          // of one stream that are told apart
constexpr std::string_view kData = "data: ";

std::uint64_t number_at(json::Value object, std::string_view name) {
  const auto found = object.find(name);
  const std::int64_t number = found ? found->integer().value_or(0) : 0;
  return static_cast<std::uint64_t>(std::clamp<std::int64_t>(number, 0, kMostTokens));
}

// Counts when it goes: whatever becomes of the answer.
class Bill {
 public:
  Bill(std::shared_ptr<ModelAllowance> allowance, ModelAllowance::Place place, std::size_t octets, CountTokens counted)
      : allowance_(std::move(allowance)), place_(std::move(place)), meter_(octets), counted_(std::move(counted)) {}
  ~Bill() {
    if (is_free_) return;
    const TokenCount tokens = whole_.value_or(meter_.count());
    allowance_->count(tokens.prompt, tokens.completion);
    counted_(tokens);
  }
  Bill(const Bill&) = delete;
  Bill& operator=(const Bill&) = delete;

  StreamMeter& meter() { return meter_; }
  void say(const TokenCount& tokens) { whole_ = tokens; }
  // What the request has of the model's server.
  void hold(std::shared_ptr<const void> held) { held_ = std::move(held); }
  // Nothing was computed.
  void forgive() { is_free_ = true; }

 private:
  const std::shared_ptr<ModelAllowance> allowance_;
  const ModelAllowance::Place place_;
  StreamMeter meter_;
  std::optional<TokenCount> whole_;
  bool is_free_ = false;
  std::shared_ptr<const void> held_;
  const CountTokens counted_;
};

class MeteredEvents final : public http::BodyReader {
 public:
  MeteredEvents(std::shared_ptr<http::BodyReader> octets, std::shared_ptr<Bill> bill)
      : octets_(std::move(octets)), bill_(std::move(bill)) {}
  io::Task<std::string> read() override {
    auto piece = co_await octets_->read();
    if (piece.ok()) bill_->meter().add(*piece);
    co_return piece;
  }

 private:
  const std::shared_ptr<http::BodyReader> octets_;
  const std::shared_ptr<Bill> bill_;
};

// What surely has not come to the model's server: there is none, it has no room, or the prompt is too long for it. Of
// all else nobody knows how far it came.
bool was_not_begun(const Error& error) {
  constexpr std::array<std::string_view, 13> kNothingDone = {
      "model_not_found",       "model_damaged",           "models_busy",          "runner_busy", "model_load_timeout",
      "model_not_loadable",    "no_llama_server",         "llama_server_too_old", "no_memory",   "too_many_requests",
      "llama_server_unusable", "context_length_exceeded", "image_not_found"};
  return std::find(kNothingDone.begin(), kNothingDone.end(), error.slug()) != kNothingDone.end();
}

// Octets of all texts in a value.
std::uint64_t text_octets(json::Value value) {
  if (const auto text = value.string()) return text->size();
  std::uint64_t octets = 0;
  for (const json::Value& item : value.items()) octets += text_octets(item);
  for (const auto& [name, member] : value.members()) octets += text_octets(member);
  return octets;
}

Error several() {
  return Error(ErrorCode::invalid_argument, "a sandbox asks for one answer at a time")
      .with_slug("several_answers")
      .with_hint(
          "send one request for each prompt, and each answer: `prompt` is a text or the ids of its tokens, `n` is 1");
}

// Octets of what comes with an event that has no `choices`: Anthropic's say of which kind it is.
std::uint64_t delta_octets(json::Value event) {
  const auto delta = event.find("delta");
  const auto type = delta ? delta->find("type") : std::nullopt;
  return delta ? text_octets(*delta) - (type ? text_octets(*type) : 0) : 0;
}

// `usage` in the words of whichever API: Anthropic's input is without what was remembered, that of the others with it.
TokenCount said_in(json::Value usage) {
  const auto sum = [usage](std::initializer_list<const char*> names) {
    std::uint64_t tokens = 0;
    for (const char* name : names) tokens += number_at(usage, name);
    return tokens;
  };
  return {sum({"prompt_tokens", "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"}),
          sum({"completion_tokens", "output_tokens"})};
}

// The `usage` of a member of an object.
std::optional<json::Value> usage_in(json::Value object, const char* name) {
  const auto member = object.find(name);
  const auto usage = member ? member->find("usage") : std::nullopt;
  return usage && usage->kind() == json::Kind::object ? usage : std::nullopt;
}

std::optional<TokenCount> said_by(json::Value object) {
  if (const auto usage = object.find("usage"); usage && usage->kind() == json::Kind::object) return said_in(*usage);
  if (const auto usage = usage_in(object, "response")) return said_in(*usage);
  if (const auto timings = object.find("timings"); timings && timings->kind() == json::Kind::object)
    return TokenCount{number_at(*timings, "prompt_n") + number_at(*timings, "cache_n"),
                      number_at(*timings, "predicted_n")};
  return std::nullopt;
}

}  // namespace

std::optional<TokenCount> tokens_in(std::string_view object) {
  json::ParseFault fault;
  const auto document = json::Document::parse(object, fault);
  return document ? said_by(document->root()) : std::nullopt;
}

std::uint64_t estimated_prompt(std::size_t octets) { return (octets + 1) / 2; }

void StreamMeter::add(std::string_view octets) {
  while (!octets.empty()) {
    const std::size_t end = octets.find('\n');
    const std::string_view part = octets.substr(0, end);
    if (is_cut_ || line_.size() + part.size() > kMaxLine) {
      count_unread(part);
    } else {
      line_ += part;
    }
    if (end == std::string_view::npos) return;
    if (!is_cut_) look_at(line_);
    line_.clear();
    is_cut_ = false;
    octets.remove_prefix(end + 1);
  }
}

// Who gets it has it all the same.
void StreamMeter::count_unread(std::string_view part) {
  Answer& answer = answers_[kMostAnswers];
  if (!std::exchange(is_cut_, true)) ++answer.events;
  answer.octets += line_.size() + part.size();
  line_.clear();
}

void StreamMeter::look_at(std::string_view line) {
  if (!line.starts_with(kData) || line == "data: [DONE]") return;
  json::ParseFault fault;
  const auto event = json::Document::parse(line.substr(kData.size()), fault);
  // The beginning of an answer of Anthropic's API says what its prompt is, the end only what was made of it.
  if (const auto usage = event ? usage_in(event->root(), "message") : std::nullopt) begun_ = said_in(*usage).prompt;
  const auto said = event ? said_by(event->root()) : std::nullopt;
  const auto choices = event ? event->root().find("choices") : std::nullopt;
  const auto items = choices ? choices->items() : std::vector<json::Value>();
  if (items.empty() && said) {
    ++closings_;
    closed_.prompt += std::max(said->prompt, std::exchange(begun_, 0));
    closed_.completion += said->completion;
    return;
  }
  const auto index = items.empty() ? std::nullopt : items.front().find("index");
  Answer& answer = answers_[std::clamp<std::int64_t>(index ? index->integer().value_or(0) : 0, 0, kMostAnswers)];
  ++answer.events;
  if (event) answer.octets += delta_octets(event->root());
  for (const json::Value& choice : items) {
    for (const char* name : {"delta", "text"}) {
      const auto words = choice.find(name);
      if (words) answer.octets += text_octets(*words);
    }
  }
  if (said) answer.said = said;
}

// An answer has a last word of its own, or is estimated.
TokenCount StreamMeter::count() const {
  if (closings_ > 0 && closings_ >= answers_.size()) return closed_;
  TokenCount sum;
  bool is_all_said = !answers_.empty();
  for (const auto& [index, answer] : answers_) {
    sum.prompt += answer.said ? answer.said->prompt : 0;
    sum.completion += answer.said ? answer.said->completion : std::max(answer.events, (answer.octets + 3) / 4);
    is_all_said = is_all_said && answer.said;
  }
  if (!is_all_said) sum.prompt = std::max(sum.prompt, prompt_);
  return {std::max(sum.prompt, closed_.prompt), std::max(sum.completion, closed_.completion)};
}

io::Task<ModelAnswer> ask_within(std::shared_ptr<ModelAllowance> allowance, ModelRequest request, AskModel ask,
                                 CountTokens counted) {
  LMSB_CO_TRY(request.model, allowance->choose(request.model));
  if (request.is_several) co_return several();
  LMSB_CO_TRY(const auto place, co_await ModelAllowance::begin(allowance));
  const auto bill = std::make_shared<Bill>(allowance, place, request.body.size(), std::move(counted));
  if (request.work == ModelWork::counting) bill->say(TokenCount());
  auto asking = ask(std::move(request));
  auto answer = co_await std::move(asking);
  if (!answer.ok()) {
    if (was_not_begun(answer.error())) bill->forgive();
    co_return answer;
  }
  bill->hold(std::exchange(answer->place, place));
  if (answer->events) {
    auto metered = std::make_shared<MeteredEvents>(std::move(answer->events), bill);
    answer->events = read_ahead(allowance->loop(), std::move(metered), place);
  } else if (const auto tokens = tokens_in(answer->whole)) {  // what is counted says nothing of the kind
    bill->say(*tokens);
  }
  co_return answer;
}

}  // namespace lmsb::control
