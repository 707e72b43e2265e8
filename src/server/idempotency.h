#pragma once
// IdempotentAnswers: remembers what was answered to an Idempotency-Key, so that a client that lost the answer may send
// the request again without a second effect.
//
// In memory and bounded: an answer is forgotten after a day, when 4096 newer ones came, or when the daemon ends. One
// thread; nothing here blocks.
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "server/digest.h"

namespace lmsb::server {

class IdempotentAnswers {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit IdempotentAnswers(std::size_t capacity = 4096) : capacity_(capacity) {}

  // The right to carry a request out. Gives the key free again unless finish() was called. The table may go before it.
  class Turn {
   public:
    Turn(IdempotentAnswers& answers, std::string key) : answers_(answers.self_), key_(std::move(key)) {}
    Turn(Turn&& other) noexcept : answers_(std::exchange(other.answers_, {})), key_(std::move(other.key_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn();
    // Remembers the answer's body.
    void finish(std::string body);

   private:
    std::weak_ptr<IdempotentAnswers*> answers_;
    std::string key_;
  };

  // What to do with a request: carry it out (`turn`), or answer as before (`replay`).
  struct Begun {
    std::optional<Turn> turn;
    std::string replay;
  };

  // `key` is the principal's name and its key; `request` the digest of the request's body. Errors: already_exists when
  // the key was used with another body (slug idempotency_key_reused), unavailable while the first request still runs
  // (idempotency_key_in_use), resource_exhausted when `capacity` requests run.
  Result<Begun> begin(const std::string& key, const Sha256& request, Time now = std::chrono::steady_clock::now());

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    Sha256 request{};
    Time since;
    std::optional<std::string> answer;  // nothing: still running
  };
  using Entries = std::list<Entry>;

  void forget(Entries::iterator entry);
  Status make_room(Time now);

  std::size_t capacity_;
  Entries entries_;  // oldest first
  std::unordered_map<std::string, Entries::iterator> by_key_;
  std::shared_ptr<IdempotentAnswers*> self_ = std::make_shared<IdempotentAnswers*>(this);
};

}  // namespace lmsb::server
