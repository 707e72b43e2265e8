#pragma once
// Runner: a llama-server that serves one model, in a sandbox of its own: no network, the model read-only, limits.
//
// It listens on a unix socket inside. For each request the guest starts a process of ours there that carries octets
// between that socket and pipes, so the daemon never holds a socket whose other end a hostile model could use against
// it. One loop. When the server ends, is_alive() turns false and what it wrote last is in last_words().
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "control/fleet.h"
#include "control/llama_server.h"
#include "http/client.h"
#include "model/store.h"

namespace lmsb::control {

struct RunnerOptions {
  RunnerProgram program;
  std::string mount_desk;  // socket of the launcher's mount desk
  std::uint32_t context = 4096;
  std::uint32_t threads = 0;  // 0 = one for each CPU
  std::chrono::milliseconds load_timeout{300'000};
};

class Runner {
 public:
  // Launches the sandbox, starts the server and waits until it says that the model is loaded. Errors:
  // llama_server_unusable, llama_server_too_old, model_not_loadable with the server's last words; model_load_timeout;
  // those of launching. `loop` and `fleet` outlive the runner.
  static io::Task<std::shared_ptr<Runner>> start(boost::asio::io_context& loop, Fleet& fleet, RunnerOptions options,
                                                 model::Model model);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // One request to the server; 256 at a time. Errors: runner_died when it ended meanwhile, runner_timeout when it did
  // not answer in time, runner_failed when what it answers is no HTTP or too much of it, runner_busy.
  io::Task<http::Response> ask(http::ClientRequest request);
  bool is_alive() const;
  std::string last_words() const;
  const model::Model& model() const { return model_; }

 private:
  struct State;
  Runner(std::shared_ptr<State> state, model::Model model) : state_(std::move(state)), model_(std::move(model)) {}
  Error died() const;
  std::shared_ptr<State> state_;
  model::Model model_;
};

}  // namespace lmsb::control
