#pragma once
// App: everything between an HTTP request and control. For each request: who is it (doors), what is there (routes),
// the handler, errors into the dialect's shape, metrics, log.
//
//   App app(engine, metrics, log, std::move(options));
//   http::Server server(loop, limits, app.serve(), app.streamed_body());
//
// Lives on the event loop's thread; nothing here blocks.
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "control/control.h"
#include "http/server.h"
#include "server/doors.h"
#include "server/routes.h"

namespace lmsb::server {

struct AppOptions {
  DoorPolicy doors;
  // The kept sandbox that /run-bash/ runs in; "" = a fresh one for each request.
  std::string run_bash_sandbox;
};

class App {
 public:
  // All references outlive the App.
  App(control::Control& control, Metrics& metrics, Logger& log, const AppOptions& options);
  ~App();

  // For http::Server. The App outlives it and every request that runs.
  http::Serve serve();
  // Which bodies it reads as they come. The App outlives it, too.
  http::StreamedBody streamed_body() const;
  // Words what it answers by itself.
  static http::Response refuse(const std::string& path, int status, const std::string& why);
  // From the next request on (SIGHUP). The principals whose keys are no longer there: what they have open is to end.
  std::vector<std::string> set_doors(DoorPolicy policy);
  // Where browsers reach it, once that is known, and whether by https; 0: nowhere.
  void set_listening_port(std::uint16_t port, bool is_tls = false, std::string host = "127.0.0.1");
  const RouteTable& routes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lmsb::server
