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
  bool makes_embeddings = false;
  std::chrono::milliseconds load_timeout{300'000};
  std::shared_ptr<void> share;  // kept until the server is killed or has ended
  Capacity::Share room;         // of its sandbox
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
  // not answer in time, runner_failed when what it answers is no HTTP, answer_too_long, runner_busy.
  io::Task<http::Response> ask(http::ClientRequest request);
  // The same, but ends when the answer's head is there: the request's timeout is for that, its silence for each piece
  // of the body, whose read() has the same errors. As long as the body is there it holds its runner and one of the
  // places; dropping it tells the server that nobody listens any more.
  static io::Task<http::StreamedAnswer> open(std::shared_ptr<Runner> runner, http::ClientRequest request);
  // Those of a model's runner that serves so much context: memory for what is estimated (model/memory.h) and the
  // weights once more, which a processor may want in another order, and no less than twice the file and 2 GiB.
  static sandbox::Limits limits_for(const model::Model& model, std::uint32_t context);
  bool is_alive() const;
  // Whether it should be asked: it lives, and no answer of it made no sense, or was late while nobody else heard
  // anything either. Else the next request wants another one.
  bool is_usable() const { return is_alive() && fault() == nullptr; }
  // The first such answer; nullptr: none.
  const Error* fault() const;
  // For who finds that an answer makes no sense.
  void blame(const Error& error);
  std::string last_words() const;
  const model::Model& model() const { return model_; }
  // Whether that is all it does.
  bool makes_embeddings() const;

 private:
  struct State;
  class Place;
  class Body;
  Runner(std::shared_ptr<State> state, model::Model model) : state_(std::move(state)), model_(std::move(model)) {}
  std::shared_ptr<State> state_;
  model::Model model_;
};

}  // namespace lmsb::control
