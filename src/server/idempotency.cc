#include "server/idempotency.h"

#include <algorithm>

namespace lmsb::server {
namespace {

constexpr std::chrono::hours kRemembered{24};

Error reused() {
  return Error(ErrorCode::already_exists, "this Idempotency-Key was used for another request")
      .with_slug("idempotency_key_reused")
      .with_hint("use a fresh key for each different request");
}

Error in_use() {
  return Error(ErrorCode::unavailable, "the first request with this Idempotency-Key is still running")
      .with_slug("idempotency_key_in_use")
      .with_hint("send it again later");
}

}  // namespace

IdempotentAnswers::Turn::~Turn() {
  const auto answers = answers_.lock();
  if (!answers) return;
  const auto found = (*answers)->by_key_.find(key_);
  if (found != (*answers)->by_key_.end() && !found->second->answer) (*answers)->forget(found->second);
}

void IdempotentAnswers::Turn::finish(std::string body) {
  const auto answers = answers_.lock();
  if (!answers) return;
  const auto found = (*answers)->by_key_.find(key_);
  if (found == (*answers)->by_key_.end()) return;
  Entry& entry = *found->second;
  if (!entry.answer) ++(*answers)->answers_of_[entry.owner];
  entry.answer = std::move(body);
}

void IdempotentAnswers::forget(Entries::iterator entry) {
  if (entry->answer && --answers_of_[entry->owner] == 0) answers_of_.erase(entry->owner);
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

void IdempotentAnswers::forget_old(Time now) {
  while (!entries_.empty() && entries_.front().answer && now - entries_.front().since > kRemembered) {
    forget(entries_.begin());
  }
}

Status IdempotentAnswers::make_room() {
  if (entries_.size() < capacity_) return {};
  std::size_t most = 0;
  for (const auto& [owner, count] : answers_of_) most = std::max(most, count);
  const auto done = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.answer && answers_of_.at(entry.owner) == most;
  });
  if (done == entries_.end())
    return Error(ErrorCode::resource_exhausted, "too many requests with an Idempotency-Key run");
  forget(done);
  return {};
}

Result<IdempotentAnswers::Begun> IdempotentAnswers::begin(const std::string& owner, const std::string& own_key,
                                                          const Sha256& request, Time now) {
  forget_old(now);
  const std::string key = owner + "\n" + own_key;
  Begun begun;
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    const Entry& entry = *found->second;
    if (entry.request != request) return reused();
    if (!entry.answer) return in_use();
    begun.replay = *entry.answer;
    return begun;
  }
  LMSB_CHECK(make_room());
  Entry entry;
  entry.owner = owner;
  entry.key = key;
  entry.request = request;
  entry.since = now;
  by_key_[key] = entries_.insert(entries_.end(), std::move(entry));
  begun.turn.emplace(*this, key);
  return begun;
}

}  // namespace lmsb::server
