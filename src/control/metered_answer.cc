#include "control/metered_answer.h"

#include <algorithm>
#include <utility>

#include "http/body.h"
#include "json/value.h"

namespace lmsb::control {
namespace {

constexpr std::size_t kMaxLine = std::size_t{1} << 20U;
constexpr std::int64_t kMostTokens = 100'000'000;  // of one answer
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
  // Nothing was computed.
  void forgive() { is_free_ = true; }

 private:
  const std::shared_ptr<ModelAllowance> allowance_;
  const ModelAllowance::Place place_;
  StreamMeter meter_;
  std::optional<TokenCount> whole_;
  bool is_free_ = false;
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

// A request that the model's server has not begun to work on.
bool was_refused(const Error& error) {
  return error.code() != ErrorCode::cancelled && error.slug() != "runner_died" && error.slug() != "runner_timeout" &&
         error.slug() != "runner_failed" && error.slug() != "answer_too_long";
}

}  // namespace

std::optional<TokenCount> tokens_in(std::string_view object) {
  // Text of an answer has its quotation marks escaped: these stand for fields alone.
  const bool may_say =
      object.find("\"usage\"") != std::string_view::npos || object.find("\"timings\"") != std::string_view::npos;
  if (!may_say) return std::nullopt;
  json::ParseFault fault;
  const auto document = json::Document::parse(object, fault);
  if (!document) return std::nullopt;
  if (const auto usage = document->root().find("usage"); usage && usage->kind() == json::Kind::object)
    return TokenCount{number_at(*usage, "prompt_tokens"), number_at(*usage, "completion_tokens")};
  if (const auto timings = document->root().find("timings"); timings && timings->kind() == json::Kind::object)
    return TokenCount{number_at(*timings, "prompt_n") + number_at(*timings, "cache_n"),
                      number_at(*timings, "predicted_n")};
  return std::nullopt;
}

std::uint64_t estimated_prompt(std::size_t octets) { return (octets + 3) / 4; }

void StreamMeter::add(std::string_view octets) {
  while (!octets.empty()) {
    const std::size_t end = octets.find('\n');
    const std::string_view part = octets.substr(0, end);
    if (line_.size() + part.size() > kMaxLine) is_cut_ = true;
    if (!is_cut_) line_ += part;
    if (end == std::string_view::npos) return;
    if (!is_cut_) look_at(line_);
    line_.clear();
    is_cut_ = false;
    octets.remove_prefix(end + 1);
  }
}

void StreamMeter::look_at(std::string_view line) {
  if (!line.starts_with(kData) || line == "data: [DONE]") return;
  ++seen_.completion;
  if (const auto said = tokens_in(line.substr(kData.size()))) said_ = said;
}

io::Task<ModelAnswer> ask_within(std::shared_ptr<ModelAllowance> allowance, ModelRequest request, AskModel ask,
                                 CountTokens counted) {
  LMSB_CO_TRY(request.model, allowance->choose(request.model));
  LMSB_CO_TRY(auto place, co_await ModelAllowance::begin(allowance));
  const auto bill = std::make_shared<Bill>(allowance, std::move(place), request.body.size(), std::move(counted));
  auto asking = ask(std::move(request));
  auto answer = co_await std::move(asking);
  if (!answer.ok()) {
    if (was_refused(answer.error())) bill->forgive();
    co_return answer;
  }
  if (answer->events) {
    answer->events = std::make_shared<MeteredEvents>(std::move(answer->events), bill);
  } else if (const auto tokens = tokens_in(answer->whole)) {
    bill->say(*tokens);
  }
  co_return answer;
}

}  // namespace lmsb::control
