#pragma once
// ModelAllowance: what of the local models one sandbox may use, for as long as there is the sandbox, and what it has
// used. Its principal carries it (Principal::models); who asks a model for that principal asks it first.
//
// One loop, one thread. Requests in progress hold it.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>

#include "control/in_progress.h"
#include "control/model_access.h"
#include "io/task.h"

namespace lmsb::control {

class ModelAllowance : public std::enable_shared_from_this<ModelAllowance> {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint32_t kAtOnce = 4;  // requests; more wait for their turn

  // `loop` outlives it.
  ModelAllowance(boost::asio::io_context& loop, ModelAccess access, ModelUsage used = {});

  const ModelAccess& access() const { return access_; }
  const ModelUsage& usage() const { return usage_; }
  bool has(std::string_view name) const;
  boost::asio::io_context& loop() const { return loop_; }

  // One of the requests at once, while it lives.
  using Place = std::shared_ptr<const void>;
  // The name of the model that is meant ("": the first). Error: model_not_found.
  Result<std::string> choose(const std::string& wanted);
  // Whether there are tokens left. Error: model_tokens_used.
  Status check_tokens();
  // Begins a request, when it is its turn. Errors: model_tokens_used, model_rate_limited, cancelled.
  static io::Task<Place> begin(std::shared_ptr<ModelAllowance> self, Clock::time_point now = Clock::now());
  // A request that was passed on has come to its end, or has been given up.
  void count(std::uint64_t prompt_tokens, std::uint64_t completion_tokens);
  // Called when requests or tokens have been counted; not from within this call. More than one change may be one call.
  // What was refused is no reason: nobody is to have things written down as often as he asks in vain.
  void on_change(std::function<void()> told) { told_ = std::move(told); }

 private:
  Status take_rate(Clock::time_point now);
  void change();

  boost::asio::io_context& loop_;
  ModelAccess access_;
  ModelUsage usage_;
  double rate_left_;
  Clock::time_point rate_counted_;
  InProgress asking_;
  bool is_telling_ = false;
  std::function<void()> told_;
};

}  // namespace lmsb::control
