#pragma once
// Promise: what is to be answered to a request with an Idempotency-Key. What the request makes is written down together
// with the answer, in one step: whoever sends it again, to a later daemon too, gets what was made and not a second one.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/digest.h"
#include "store/answer_table.h"

namespace lmsb::control {

struct AnswerKey {
  std::string owner;  // the principal's name, and each has keys of his own
  std::string key;
  Sha256 request{};  // of all that was asked
};

// Of a key of the owner's. `made`: the id of what was made; "" = several.
store::AnswerRow row_of(const AnswerKey& key, std::string made, std::string body);

template <class Made>
struct Promise {
  using TextOf = std::string (*)(const Made& made);
  Promise() = default;
  Promise(std::shared_ptr<const AnswerKey> k, TextOf t) : key(std::move(k)), text_of(t) {}

  // Nothing: none was promised.
  std::optional<store::AnswerRow> keep(const Made& made, std::string id) const {
    if (!key) return std::nullopt;
    return row_of(*key, std::move(id), text_of(made));
  }

  std::shared_ptr<const AnswerKey> key;  // null: the request came without one
  TextOf text_of = nullptr;              // the answer's body
};

}  // namespace lmsb::control
