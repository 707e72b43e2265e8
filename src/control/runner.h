#pragma once
// Runner: a llama-server that serves one model, in a sandbox of its own: no network, the model read-only, limits.
//
// It listens on a unix socket inside; the guest connects and hands the connection out for each request. One loop. When
// it ends, is_alive() turns false and what it wrote last is in last_words().
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "control/fleet.h"
#include "http/client.h"
#include "model/store.h"

namespace lmsb::control {

// Where the program comes from: the image to run in, its path inside, and a directory of the machine to bring along.
struct RunnerProgram {
  std::string image;            // "llama" or "host"
  std::string path;             // inside
  std::string bring_directory;  // "" = none; appears at /opt/llama
};

struct RunnerOptions {
  RunnerProgram program;
  std::string mount_desk;  // socket of the launcher's mount desk
  std::uint32_t context = 4096;
  std::uint32_t threads = 0;  // 0 = one for each CPU
  std::chrono::milliseconds load_timeout{300'000};
};

class Runner {
 public:
  // Launches the sandbox, starts the server and waits until the model is loaded. Errors: model_not_loadable with the
  // server's last words; those of launching. `loop` and `fleet` outlive the runner.
  static io::Task<std::shared_ptr<Runner>> start(boost::asio::io_context& loop, Fleet& fleet, RunnerOptions options,
                                                 model::Model model);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // One request to the server. Errors: runner_died when it ended meanwhile.
  io::Task<http::Response> ask(http::ClientRequest request);
  bool is_alive() const;
  std::string last_words() const;
  const model::Model& model() const { return model_; }

 private:
  struct State;
  Runner(std::shared_ptr<State> state, model::Model model) : state_(std::move(state)), model_(std::move(model)) {}
  std::shared_ptr<State> state_;
  model::Model model_;
};

}  // namespace lmsb::control
