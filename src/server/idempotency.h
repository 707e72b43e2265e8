#pragma once
// IdempotentAnswers: remembers what was answered to an Idempotency-Key, so that a client that lost the answer may send
// the request again without a second effect.
//
// In memory and bounded: an answer is forgotten after a day, when the daemon ends, or when there are more than 4096 and
// its owner has the most of them, his oldest first: nobody pushes out what another may still ask for. One thread;
// nothing here blocks.
#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/digest.h"
#include "base/result.h"

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

  // `owner` is the principal's name, and each has keys of his own; `request` the digest of the request's body. Errors:
  // already_exists when the key was used with another body (slug idempotency_key_reused), unavailable while the first
  // request still runs (idempotency_key_in_use), resource_exhausted when `capacity` requests run.
  Result<Begun> begin(const std::string& owner, const std::string& key, const Sha256& request,
                      Time now = std::chrono::steady_clock::now());

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string owner;
    std::string key;  // the owner's name and his key
    Sha256 request{};
    Time since;
    std::optional<std::string> answer;  // nothing: still running
  };
  using Entries = std::list<Entry>;

  void forget(Entries::iterator entry);
  void forget_old(Time now);
  Status make_room();

  std::size_t capacity_;
  Entries entries_;  // oldest first
  std::unordered_map<std::string, Entries::iterator> by_key_;
  std::map<std::string, std::size_t> answers_of_;  // how many answers there are of each owner's
  std::shared_ptr<IdempotentAnswers*> self_ = std::make_shared<IdempotentAnswers*>(this);
};

}  // namespace lmsb::server
