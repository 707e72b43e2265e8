#pragma once
// What is asked of local models, and what is known and answered. Values.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/units.h"
#include "io/deadline.h"
#include "io/task.h"

namespace lmsb::http {
class BodyReader;  // http/body.h
}

namespace lmsb::control {

// A runner of a model: it serves the model, or is on its way there.
struct RunnerInfo {
  bool is_loaded = false;  // else it is loading
  bool makes_embeddings = false;
  std::size_t requests = 0;  // that it is at
  Bytes memory;              // its limit
  bool is_pinned = false;    // it is never let go for another model's room
  std::string ends_at;  // RFC 3339 UTC, if nobody asks it until then; "" = when its room is needed, or it is at work
};

struct ModelInfo {
  std::string id;
  std::uint64_t size_bytes = 0;
  std::string path;
  bool is_default = false;
  bool loaded = false;
  bool is_demonstration = false;  // part of the program; the default only where there is no other
  std::vector<RunnerInfo> runners;
};

// How long a model stays loaded after its last answer: not at all (0), or for as long as its room is not needed.
using KeepAlive = std::chrono::milliseconds;
constexpr KeepAlive kKeptWhileThereIsRoom = KeepAlive::max();

// Has a model loaded before anybody asks it.
struct LoadModel {
  LoadModel() = default;
  std::string name;
  std::optional<bool> is_pinned;        // nothing: as it is
  std::optional<KeepAlive> keep_alive;  // nothing: as it is
};

struct Completion {
  std::string text;
  std::string model;              // its id
  bool is_demonstration = false;  // whoever gets the text should be told
};

// What a request has a model do.
enum class ModelWork : std::uint8_t {
  answer,
  embedding,  // a runner of its own does that: a server that makes embeddings is not one that answers
  counting,   // of a prompt's tokens; nothing is computed
};

// A request in the words of an API that the model's server knows, for a local model.
struct ModelRequest {
  ModelRequest() = default;
  std::string model;  // its id; "" = the default one
  std::string path;   // "/v1/chat/completions"
  std::string body;   // JSON; goes to the model's server as it is
  ModelWork work = ModelWork::answer;
  bool is_streamed = false;             // what it says of that
  bool is_several = false;              // it asks for several answers at once: a list of prompts, or n above 1
  std::optional<KeepAlive> keep_alive;  // of the model, from now on; not of a sandbox's request
};

// What the model's server answers to a request that it takes.
struct ModelAnswer {
  std::string whole;  // one JSON object; "" where events come
  // The octets of a text/event-stream as they come. Dropping it ends the work on the answer. Errors of read():
  // runner_died, runner_timeout, runner_failed, answer_not_read, cancelled.
  std::shared_ptr<http::BodyReader> events;
  std::shared_ptr<const void> place;  // of a sandbox's request: kept until its answer has been sent
};

// Adds a model to the store.
struct PullModel {
  PullModel() = default;
  std::string source;  // an absolute path, a URL, or a name (model/source.h)
  std::string name;    // "" = made from the source
  std::string handle;  // token of the source's file, handed over at the file desk; "" = the daemon opens it itself
  Secret token;        // of Hugging Face, for this pull; empty = the configuration's
};

enum class PullStep : std::uint8_t {
  looking,   // what the source means
  bringing,  // its octets
  checking,  // their digest
};

// How far a pull has come. With a model it has ended.
struct PullNews {
  PullNews() = default;
  PullStep step = PullStep::looking;
  std::uint64_t done = 0;
  std::uint64_t whole = 0;  // 0 = nobody says
  std::string sha256;       // of the file; "" = nobody says
  std::optional<ModelInfo> model;
};

// A pull that is watched. When it goes the pull is cancelled; what has come is kept for a later one.
class PullStream {
 public:
  virtual ~PullStream() = default;
  // What is new, a few times a second at most. Errors: deadline_exceeded, and it is asked again; all others are how the
  // pull has ended. Outlived by its tasks' awaiting; one at a time.
  virtual io::Task<PullNews> next(io::Deadline deadline) = 0;
};

}  // namespace lmsb::control
