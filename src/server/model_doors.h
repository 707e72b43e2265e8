#pragma once
// ModelDoors: the real control::ModelDoors: an HTTP server for each sandbox that has models, on the sandbox's own
// socket, with the routes that ask models and no others. Who asks is the sandbox: no key is asked for, none is looked
// at, and nothing else of the API is there.
//
// What one sandbox can take of the daemon is bounded by kConnections, the pace of its requests (server/request_pace.h),
// their bodies, the answers that it has not read (ModelAllowance::kAtOnce), and what the kernel keeps of its
// connections; it holds nobody else up. One loop.
#include <memory>

#include <boost/asio/io_context.hpp>

#include "base/metrics.h"
#include "control/control.h"
#include "control/model_channels.h"
#include "http/message.h"
#include "server/doors.h"
#include "server/routes.h"

namespace lmsb::server {

class ModelDoors final : public control::ModelDoors {
 public:
  static constexpr std::uint32_t kConnections = 32;     // of one sandbox; as many more wait to be accepted
  static constexpr Bytes kBody = Bytes::MiB(4);         // of one request
  static constexpr Bytes kBodies = Bytes::MiB(8);       // of one sandbox's requests in progress
  static constexpr Bytes kAnswers = Bytes::MiB(8);      // of one sandbox's, that it has not read
  static constexpr Bytes kAllBodies = Bytes::MiB(128);  // of all, each; more only for who has less than his part of it

  // All outlive what it opens, too.
  ModelDoors(boost::asio::io_context& loop, control::Control& control, Metrics& metrics);
  ~ModelDoors() override;

  Result<std::shared_ptr<void>> open(control::Principal who, UniqueFd socket) override;

  // What it serves: lists of models, in whichever API's words, and what asks them.
  const RouteTable& routes() const;
  // The answer to one request of a sandbox.
  io::Always<http::Response> answer(control::Principal who, http::Request request);

 private:
  struct State;
  struct Visitor;  // one sandbox
  static io::Always<http::Response> answer_in_turn(std::shared_ptr<State> state, std::shared_ptr<Visitor> visitor,
                                                   http::Request request);
  static io::Always<http::Response> answer_with(std::shared_ptr<State> state, control::Principal who,
                                                http::Request request);
  boost::asio::io_context& loop_;
  std::shared_ptr<State> state_;
};

}  // namespace lmsb::server
