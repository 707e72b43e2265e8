#pragma once
// PullState: how far a pull has come. A value.
#include <cstdint>
#include <functional>
#include <string>

namespace lmsb::model {

struct PullState {
  enum class Step : std::uint8_t {
    looking,   // what the source means
    bringing,  // its octets
    checking,  // their digest
  };
  Step step = Step::looking;
  std::uint64_t done = 0;
  std::uint64_t whole = 0;  // 0 = nobody says
  std::string sha256;       // of the file; "" = nobody says
};

// Told now and then, by the thread that pulls; returning false cancels.
using PullProgress = std::function<bool(const PullState&)>;

}  // namespace lmsb::model
