#pragma once
// IdempotentAnswers: remembers what was answered to an Idempotency-Key, so that a client that lost the answer may send
// the request again without a second effect. What outlives the daemon is in the ledger, too, and here again when a
// later daemon has begun (promise.h).
//
// Bounded: an answer is forgotten after a day, or when there are more than 4096 answers, or 32 MiB of them, and its
// owner has the most of what there is too much of, his oldest first: nobody pushes out what another may still ask for.
// One thread; nothing here blocks.
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "base/units.h"
#include "control/promise.h"

namespace lmsb::control {

class IdempotentAnswers {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::hours kRemembered{24};
  static constexpr Bytes kMostText = Bytes::MiB(32);
  explicit IdempotentAnswers(std::size_t capacity = 4096) : capacity_(capacity) {}

  // The right to carry a request out. Gives the key free again unless finish() was called. The table may go before it.
  class Turn {
   public:
    Turn(IdempotentAnswers& answers, std::string key) : answers_(answers.self_), key_(std::move(key)) {}
    Turn(Turn&& other) noexcept : answers_(std::exchange(other.answers_, {})), key_(std::move(other.key_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn();
    // Remembers the answer's body; `request`: of all that was asked, where begin_unread() did not know it.
    void finish(std::string body, std::optional<Sha256> request = std::nullopt);

   private:
    std::weak_ptr<IdempotentAnswers*> answers_;
    std::string key_;
  };

  // What to do with a request: carry it out (`turn`), or answer as before (`replay`).
  struct Begun {
    std::optional<Turn> turn;
    std::string replay;
    Sha256 request{};  // of all that was asked then, of a replay
  };

  // Errors: already_exists when the key was used with another request (slug idempotency_key_reused), unavailable while
  // the first request still runs (idempotency_key_in_use), resource_exhausted when `capacity` requests run.
  Result<Begun> begin(const AnswerKey& asked, Time now = std::chrono::steady_clock::now());

  // The same of a request that has not been read yet, so that `asked` does not say what it is: who gets a replay finds
  // out whether it is the same one, else it is reused().
  Result<Begun> begin_unread(const AnswerKey& asked, Time now = std::chrono::steady_clock::now());
  static Error reused();

  // What an earlier daemon answered, the oldest first; before the first begin().
  void take_over(std::vector<store::AnswerRow> rows);
  // Told of each answer that is no longer remembered.
  using Forgotten = std::function<void(const std::string& owner, const std::string& key)>;
  void when_forgotten(Forgotten forgotten) { forgotten_ = std::move(forgotten); }

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    AnswerKey asked;
    std::string name;  // in by_key_
    Time since;
    std::optional<std::string> answer;  // nothing: still running
  };
  using Entries = std::list<Entry>;

  Result<Begun> begin(const AnswerKey& asked, bool is_read, Time now);
  Entry& add(const AnswerKey& asked, Time since);
  void answer(Entry& entry, std::string body);
  void forget(Entries::iterator entry);
  void forget_old(Time now);
  Status make_room();
  // What one owner has.
  struct Share {
    std::size_t answers = 0;
    std::uint64_t text = 0;
  };
  static bool has_more(const Share& one, const Share& other) { return one.answers > other.answers; }
  static bool has_longer(const Share& one, const Share& other) { return one.text > other.text; }
  // The oldest of whoever has most; false: there is none.
  bool forget_one(bool (*is_more)(const Share& one, const Share& other));

  std::size_t capacity_;
  Forgotten forgotten_;
  Entries entries_;  // oldest first
  std::unordered_map<std::string, Entries::iterator> by_key_;
  std::map<std::string, Share> shares_;  // by owner
  std::uint64_t text_ = 0;               // octets of all answers
  std::shared_ptr<IdempotentAnswers*> self_ = std::make_shared<IdempotentAnswers*>(this);
};

}  // namespace lmsb::control
