#include "control/idempotency.h"

#include <algorithm>
#include <utility>

namespace lmsb::control {
namespace {

using std::chrono::milliseconds;

Error in_use() {
  return Error(ErrorCode::unavailable, "the first request with this Idempotency-Key is still running")
      .with_slug("idempotency_key_in_use")
      .with_hint("send it again later");
}

Error too_many() {
  return Error(ErrorCode::resource_exhausted, "too many requests with an Idempotency-Key run")
      .with_slug("sandbox_busy")
      .with_hint("try again in a moment");
}

std::string name_of(const AnswerKey& asked) { return asked.owner + "\n" + asked.key; }

std::int64_t calendar_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<milliseconds>(now).count();
}

}  // namespace

store::AnswerRow row_of(const AnswerKey& key, std::string made, std::string body) {
  return {key.owner, key.key, to_hex(key.request), calendar_ms(), std::move(made), std::move(body)};
}

IdempotentAnswers::Turn::~Turn() {
  const auto answers = answers_.lock();
  if (!answers) return;
  const auto found = (*answers)->by_key_.find(key_);
  if (found != (*answers)->by_key_.end() && !found->second->answer) (*answers)->forget(found->second);
}

void IdempotentAnswers::Turn::finish(std::string body, std::optional<Sha256> request) {
  const auto answers = answers_.lock();
  if (!answers) return;
  const auto found = (*answers)->by_key_.find(key_);
  if (found == (*answers)->by_key_.end() || found->second->answer) return;
  if (request) found->second->asked.request = *request;
  (*answers)->answer(*found->second, std::move(body));
}

void IdempotentAnswers::answer(Entry& entry, std::string body) {
  Share& share = shares_[entry.asked.owner];
  ++share.answers;
  share.text += body.size();
  text_ += body.size();
  entry.answer = std::move(body);
  while (text_ > kMostText.count() && forget_one(has_longer)) continue;
}

void IdempotentAnswers::forget(Entries::iterator entry) {
  const Entry gone = std::move(*entry);
  by_key_.erase(gone.name);
  entries_.erase(entry);
  if (!gone.answer) return;
  text_ -= gone.answer->size();
  const auto share = shares_.find(gone.asked.owner);
  share->second.text -= gone.answer->size();
  if (--share->second.answers == 0) shares_.erase(share);
  if (forgotten_) forgotten_(gone.asked.owner, gone.asked.key);
}

void IdempotentAnswers::forget_old(Time now) {
  while (!entries_.empty() && entries_.front().answer && now - entries_.front().since > kRemembered) {
    forget(entries_.begin());
  }
}

bool IdempotentAnswers::forget_one(bool (*is_more)(const Share& one, const Share& other)) {
  const auto most = std::max_element(shares_.begin(), shares_.end(), [is_more](const auto& one, const auto& other) {
    return is_more(other.second, one.second);
  });
  const auto done = std::find_if(entries_.begin(), entries_.end(),
                                 [&](const Entry& entry) { return entry.answer && entry.asked.owner == most->first; });
  if (done == entries_.end()) return false;
  forget(done);
  return true;
}

Status IdempotentAnswers::make_room() {
  if (entries_.size() < capacity_ || forget_one(has_more)) return {};
  return too_many();
}

IdempotentAnswers::Entry& IdempotentAnswers::add(const AnswerKey& asked, Time since) {
  Entry entry;
  entry.asked = asked;
  entry.name = name_of(asked);
  entry.since = since;
  const auto added = entries_.insert(entries_.end(), std::move(entry));
  by_key_[added->name] = added;
  return *added;
}

Error IdempotentAnswers::reused() {
  return Error(ErrorCode::already_exists, "this Idempotency-Key was used for another request")
      .with_slug("idempotency_key_reused")
      .with_hint("use a fresh key for each different request");
}

Result<IdempotentAnswers::Begun> IdempotentAnswers::begin(const AnswerKey& asked, Time now) {
  return begin(asked, true, now);
}

Result<IdempotentAnswers::Begun> IdempotentAnswers::begin_unread(const AnswerKey& asked, Time now) {
  return begin(asked, false, now);
}

Result<IdempotentAnswers::Begun> IdempotentAnswers::begin(const AnswerKey& asked, bool is_read, Time now) {
  forget_old(now);
  Begun begun;
  if (const auto found = by_key_.find(name_of(asked)); found != by_key_.end()) {
    const Entry& entry = *found->second;
    if (is_read && entry.asked.request != asked.request) return reused();
    if (!entry.answer) return in_use();
    begun.replay = *entry.answer;
    begun.request = entry.asked.request;
    return begun;
  }
  LMSB_CHECK(make_room());
  begun.turn.emplace(*this, add(asked, now).name);
  return begun;
}

// One that the calendar's clock says is of the future is as old as now: it may have been set meanwhile.
void IdempotentAnswers::take_over(std::vector<store::AnswerRow> rows) {
  const auto now = std::chrono::steady_clock::now();
  for (store::AnswerRow& row : rows) {
    const auto request = parse_sha256(row.request);
    if (!request) continue;
    const milliseconds age(std::max<std::int64_t>(0, calendar_ms() - row.made_at_ms));
    if (!make_room().ok()) return;
    answer(add({std::move(row.owner), std::move(row.key), *request}, now - age), std::move(row.body));
  }
  forget_old(now);
}

}  // namespace lmsb::control
