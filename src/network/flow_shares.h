#pragma once
// FlowShares: how much of a gate's memory each of its connections may fill, so that all of them, none of which moves
// on, still fit. What a connection holds is decided when it begins: the kernel does not take buffers back. As long as
// there are few, each gets what a long way needs; the least is kept free for every one that may come beside it. Pure.
#include <algorithm>
#include <cstddef>
#include <optional>

namespace lmsb::network {

class FlowShares {
 public:
  // Of one socket and direction, as it is asked of the kernel, which allows twice as much, as it counts. The server's
  // are for what is under way over a long distance.
  static constexpr std::size_t kLeastBuffer = 8U << 10U;
  static constexpr std::size_t kMostBuffer = 256U << 10U;
  // What waits in the gate itself, and what the kernel takes over those bounds: one piece for each direction.
  static constexpr std::size_t kBeside = 80U << 10U;
  static constexpr std::size_t kLeast = kBeside + 8 * kLeastBuffer;
  static constexpr std::size_t kMost = kLeast + 5 * (kMostBuffer - kLeastBuffer);

  FlowShares() = default;
  explicit FlowShares(std::size_t bytes) : left_(bytes) {}

  // For one more, beside which `to_come` may come. Nothing: there is no room for it.
  std::optional<std::size_t> take(std::size_t to_come) {
    if (left_ < kLeast) return std::nullopt;
    const std::size_t kept = std::min(to_come, left_ / kLeast - 1) * kLeast;
    const std::size_t share = std::min(kMost, kLeast + (left_ - kLeast - kept) / kPart);
    left_ -= share;
    return share;
  }
  void give_back(std::size_t share) { left_ += share; }
  // Both directions of both count twice: 4 times a fifth, and 4 times a twentieth.
  static std::size_t server_buffer(std::size_t share) { return kLeastBuffer + (share - kLeast) / 5; }
  static std::size_t client_buffer(std::size_t share) { return kLeastBuffer + (share - kLeast) / 20; }

 private:
  static constexpr std::size_t kPart = 8;  // of what is spare: the next ones get some, too
  std::size_t left_ = 0;
};

}  // namespace lmsb::network
