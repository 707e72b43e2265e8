#pragma once
// FakePull: a pull for tests of the server.
#include <optional>
#include <utility>
#include <vector>

#include "control/model_requests.h"

namespace lmsb::server {

// Gives the news of a pull, one after the other, and then its end.
class FakePull final : public control::PullStream {
 public:
  FakePull(std::vector<control::PullNews> news, std::optional<Error> failure)
      : news_(std::move(news)), failure_(std::move(failure)) {}
  io::Task<control::PullNews> next(io::Deadline) override {
    if (given_ == news_.size()) co_return *failure_;
    co_return news_[given_++];
  }

 private:
  std::vector<control::PullNews> news_;
  std::optional<Error> failure_;
  std::size_t given_ = 0;
};

}  // namespace lmsb::server
