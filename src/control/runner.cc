#include "control/runner.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "control/machine.h"
#include "control/mount_offer.h"
#include "control/output_capture.h"
#include "http/body.h"
#include "io/event.h"
#include "io/spawn.h"
#include "model/memory.h"
#include "os/memfd.h"

namespace lmsb::control {
namespace {

using guest_client::Ending;
using guest_client::StartSpec;
using guest_protocol::Program;
using std::chrono::milliseconds;

constexpr const char* kSocket = "/tmp/llama.sock";
constexpr const char* kModelAt = "/model";
constexpr std::size_t kKeptWords = 16 * 1024;
constexpr std::uint32_t kMaxAsking = 256;
constexpr milliseconds kHelpLimit{60'000};
constexpr milliseconds kHealthLimit{5'000};   // for one answer to "are you ready?"
constexpr milliseconds kFirstPause{20};       // between two such questions, at least
constexpr milliseconds kLongestPause{1'000};  // of a server that says nothing
constexpr milliseconds kEndNotice{1'000};     // from one sign of its end to all of them

// How the program is started, whatever its arguments.
StartSpec program_spec(const RunnerProgram& program, std::vector<std::string> argv) {
  StartSpec spec;
  spec.argv = std::move(argv);
  spec.env = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/user", "LANG=C.UTF-8"};
  std::string search;
  for (const std::string& directory : program.search) search += (search.empty() ? "" : ":") + directory;
  if (!search.empty()) spec.env.push_back("LD_LIBRARY_PATH=" + search);
  spec.cwd = "/tmp";
  return spec;
}

Error unusable(const RunnerProgram& program, const std::string& why) {
  return Error(ErrorCode::failed_precondition, program.path + " cannot be used: " + why)
      .with_slug("llama_server_unusable")
      .with_hint(
          "name another one in the configuration, [model] llama_server, or build its image: "
          "sudo lm-sandbox image build llama");
}

io::Task<sandbox::MountSpec> offer(std::string desk, std::string directory, std::string target) {
  auto token = co_await offer_mount(std::move(desk), directory);
  if (!token.ok()) {
    Error error = std::move(token).error();
    if (error.sys_errno() != EACCES) co_return error;
    co_return std::move(error).with_hint("the daemon runs without privilege: let others read and enter " + directory);
  }
  sandbox::MountSpec mount;
  mount.target = std::move(target);
  mount.read_only = true;
  mount.token = *token;
  co_return mount;
}

io::Task<sandbox::SandboxSpec> sandbox_for(const RunnerOptions& options, const model::Model& model) {
  sandbox::SandboxSpec spec;
  spec.image = options.program.image;
  spec.limits = Runner::limits_for(model, options.context);
  spec.lifetime = sandbox::Lifetime::kept;
  LMSB_CO_TRY(auto weights, co_await offer(options.mount_desk, model.directory, kModelAt));
  spec.mounts.push_back(std::move(weights));
  for (const std::string& directory : options.program.directories) {
    LMSB_CO_TRY(auto mount, co_await offer(options.mount_desk, directory, directory));
    spec.mounts.push_back(std::move(mount));
  }
  co_return spec;
}

Error answer_too_long(const Error& error) {
  return Error(ErrorCode::invalid_argument, "the model's " + error.message())
      .with_slug("answer_too_long")
      .with_hint("ask for less at once, or have it streamed");
}

// The end of what a program wrote, fit to be shown: lines of text.
std::string end_of(const std::string& words) {
  std::string end = words.size() > 2000 ? words.substr(words.size() - 2000) : words;
  std::erase_if(end, [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t'; });
  return end.empty() ? "(nothing written)" : to_utf8(end);
}

// What the program says of itself. `program` is of the caller's frame, which waits for this.
io::Task<std::string> read_help(boost::asio::io_context& loop, std::shared_ptr<SandboxHandle> sandbox,
                                const RunnerProgram& program, io::Deadline deadline) {
  LMSB_CO_TRY(auto process, sandbox->channel().start(program_spec(program, {program.path, "--help"}), -1));
  LMSB_CO_CHECK(co_await process.wait_started(deadline));
  OutputCapture out(loop, process.take_stdout(), Bytes::KiB(512));
  OutputCapture err(loop, process.take_stderr(), Bytes::KiB(16));
  const auto ended = co_await process.wait_ended(deadline);
  if (!ended.ok() && ended.error().code() == ErrorCode::deadline_exceeded)
    co_return unusable(program, "asked for --help it does not end");
  LMSB_CO_CHECK(ended.ok() ? Status() : Status(ended.error()));
  if (ended->kind == Ending::Kind::start_failed)
    co_return unusable(program, Error::from_errno(ended->error, "execute").message());
  const bool out_ended = co_await out.wait_end(deadline);
  const bool err_ended = co_await err.wait_end(deadline);
  const std::string help = out.take().data;
  const std::string complaint = err.take().data;
  if (!out_ended || !err_ended || lists_flag(help + complaint, "--host")) co_return help + complaint;
  co_return unusable(program, "asked for --help it said: " + end_of(help + complaint));
}

}  // namespace

struct Runner::State {
  State(boost::asio::io_context& loop, std::shared_ptr<SandboxHandle> s, guest_client::Process p)
      : sandbox(std::move(s)), process(std::move(p)), changed(loop) {}

  // Reads what the server says until it ends, and keeps the last part.
  static io::Always<void> listen(std::shared_ptr<State> self, io::ForeignPipe words) {
    while (words) {
      const auto part = co_await words.read(kKeptWords);
      if (!part.ok() || part->empty()) break;
      self->words += *part;
      if (self->words.size() > 2 * kKeptWords) self->words.erase(0, self->words.size() - kKeptWords);
      ++self->heard;
      self->changed.notify_all();
    }
    --self->listening;
    self->changed.notify_all();
  }

  static io::Always<void> watch_end(std::shared_ptr<State> self) {
    auto ended = co_await self->process.wait_ended(io::Deadline::never());
    self->has_ended = true;
    self->share.reset();
    self->changed.notify_all();
  }

  // Its end is told in two ways, by its pipes and by the guest: waits a moment for the second when there was one.
  static io::Always<void> settle(std::shared_ptr<State> self) {
    const io::Deadline notice = io::Deadline::in(kEndNotice);
    while (!self->has_ended || self->listening > 0) {
      const Status woken = co_await self->changed.wait(notice);
      if (!woken.ok()) co_return;
    }
  }

  bool is_alive() const { return !has_ended && !sandbox->channel().is_closed(); }

  // The process that carries one request, and the pipe by which its answer comes. Ending it ends the exchange.
  struct Carrier {
    guest_client::Process process;
    io::ForeignPipe answer;  // empty where the sandbox could not start one
  };

  // `request` is of the caller's frame, which waits for this.
  static io::Task<Carrier> carry(std::shared_ptr<State> self, const http::ClientRequest& request,
                                 io::Deadline deadline) {
    LMSB_CO_TRY(const std::string octets, http::to_octets(request, "localhost"));
    LMSB_CO_TRY(const UniqueFd input, os::make_sealed_memfd("request", octets));
    StartSpec spec;
    spec.program = Program::connect;
    spec.argv = {kSocket};
    LMSB_CO_TRY(auto process, self->sandbox->channel().start(spec, input.get()));
    LMSB_CO_CHECK(co_await process.wait_started(deadline));
    io::ForeignPipe answer = process.take_stdout();
    co_return Carrier{std::move(process), std::move(answer)};
  }

  static io::Task<http::Response> converse(std::shared_ptr<State> self, http::ClientRequest request,
                                           io::Deadline deadline) {
    LMSB_CO_TRY(auto carrier, co_await carry(self, request, deadline));
    co_return co_await http::read_answer(std::move(carrier.answer), request.max_body, deadline);
  }

  Error died() const {
    return Error(ErrorCode::unavailable, "the model runner has ended")
        .with_cause(end_of(words))
        .with_slug("runner_died")
        .with_hint("the next request starts a new one");
  }

  // What an exchange is known by when it fails.
  struct Exchange {
    milliseconds limit;
    std::uint64_t progress;  // that there had been when it began
  };

  // What it means that an exchange failed. The server is to blame for what it said, for ending in the middle, and for
  // being late if nobody else heard anything meanwhile: else the request was a long one, or waited behind such. It is
  // not for what the daemon lacks, nor for a long answer to who asked for one.
  static io::Always<Error> explain(std::shared_ptr<State> self, Error error, Exchange exchange) {
    if (error.code() == ErrorCode::cancelled) co_return error;
    if (error.code() == ErrorCode::deadline_exceeded) {
      Error late = too_late(exchange.limit);
      co_return self->progress == exchange.progress ? self->blamed(std::move(late)) : late;
    }
    co_await settle(self);  // an end of the server is first seen as a pipe that ends
    if (!self->is_alive()) co_return self->died();
    if (error.sys_errno() != 0) co_return error;
    if (error.code() == ErrorCode::resource_exhausted) co_return answer_too_long(error);
    co_return self->blamed(failed(error));
  }

  // The same where what carries a request could not be started.
  static io::Always<Error> explain_start(std::shared_ptr<State> self, Error error, Exchange exchange) {
    if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::deadline_exceeded)
      co_return co_await explain(self, std::move(error), exchange);
    if (!self->is_alive()) co_return self->died();
    co_return too_busy(error);
  }

  // The sandbox had no room for what carries a request. Its limits are for all of its requests, so the server is to
  // blame only if this one is alone.
  Error no_carrier() {
    const Error error(ErrorCode::unavailable, "its sandbox can start nothing more");
    return asking > 1 ? too_busy(error) : blamed(failed(error));
  }

  static Error too_busy(const Error& error) {
    return Error(error)
        .with_code(ErrorCode::resource_exhausted)
        .with_context("the model has too many requests")
        .with_slug("runner_busy");
  }

  static Error failed(const Error& error) {
    return Error(error)
        .with_code(ErrorCode::unavailable)
        .with_context("the model runner gave no usable answer")
        .with_slug("runner_failed")
        .with_hint("the next request starts a new one");
  }

  static Error too_late(milliseconds limit) {
    return Error(ErrorCode::deadline_exceeded,
                 "the model runner did not answer within " + std::to_string(limit.count()) + " ms")
        .with_slug("runner_timeout")
        .with_hint("raise [model] answer_timeout_ms in the configuration, or ask for less");
  }

  Error blamed(Error error) {
    if (!fault) fault = error;
    return error;
  }

  // Asks the server whether it is ready until it says yes. What it writes is the sign that something has changed; the
  // pause is for one that writes nothing. Error: it ended, or the deadline passed.
  static io::Task<void> wait_ready(std::shared_ptr<State> self, io::Deadline deadline) {
    for (milliseconds pause = kFirstPause; !self->has_ended; pause = std::min(2 * pause, kLongestPause)) {
      const std::uint64_t heard = self->heard;
      http::ClientRequest question("GET", "/health");
      question.max_body = Bytes::KiB(64);
      const auto answer =
          co_await converse(self, std::move(question), std::min(deadline, io::Deadline::in(kHealthLimit)));
      if (answer.ok() && answer->status == 200) co_return Status();
      if (deadline.passed()) co_return Error(ErrorCode::deadline_exceeded, "not ready in time");
      LMSB_CO_CHECK(co_await io::sleep_until(std::min(deadline, io::Deadline::in(kFirstPause))));
      const io::Deadline next = std::min(deadline, io::Deadline::in(pause));
      while (self->heard == heard && !self->has_ended) {
        const Status woken = co_await self->changed.wait(next);
        if (woken.ok()) continue;
        if (woken.error().code() != ErrorCode::deadline_exceeded) co_return woken;
        break;
      }
    }
    co_return Error(ErrorCode::failed_precondition, "it ended");
  }

  std::shared_ptr<SandboxHandle> sandbox;
  guest_client::Process process;
  std::shared_ptr<void> share;
  bool makes_embeddings = false;
  std::string words;
  std::uint64_t heard = 0;  // parts
  std::size_t asking = 0;
  std::uint64_t progress = 0;  // whole answers, and pieces of others
  std::optional<Error> fault;
  int listening = 2;
  bool has_ended = false;
  io::Event changed;
};

Runner::~Runner() {
  state_->process.kill_tree();
  state_->share.reset();    // killed is as good as ended: who makes room need not wait
  state_->sandbox.reset();  // the tasks that still hold the state end with the channel
}

// The weights are mapped (the page cache is the machine's), so the memory is for the context and for computing.
sandbox::Limits Runner::limits_for(const model::Model& model, std::uint32_t context) {
  model::MemoryUse use;
  use.context = context;
  use.slots = kModelSlots;
  const Bytes estimated = std::min(model::estimate_memory(model.facts, use).total(), machine_memory());
  const std::uint64_t file = model.facts.size.count();
  sandbox::Limits limits;
  limits.memory = std::min(machine_memory(), Bytes(file + std::max(estimated.count(), file + Bytes::GiB(2).count())));
  limits.cpu_millis = machine_cpus() * 1000;
  // What carries requests, a thread of the server's for each of them, and those that compute.
  limits.processes = 2 * kMaxAsking + 64 + 4 * machine_cpus();
  limits.disk = Bytes::GiB(1);
  return limits;
}

bool Runner::is_alive() const { return state_->is_alive(); }

bool Runner::makes_embeddings() const { return state_->makes_embeddings; }

const Error* Runner::fault() const { return state_->fault ? &*state_->fault : nullptr; }

void Runner::blame(const Error& error) { (void)state_->blamed(error); }

std::string Runner::last_words() const { return end_of(state_->words); }

io::Task<std::shared_ptr<Runner>> Runner::start(boost::asio::io_context& loop, Fleet& fleet, RunnerOptions options,
                                                model::Model model) {
  const io::Deadline deadline = io::Deadline::in(options.load_timeout);
  LMSB_CO_TRY(const auto spec, co_await sandbox_for(options, model));
  LMSB_CO_TRY(auto handle, co_await fleet.launch(spec));
  handle->room = std::move(options.room);
  std::shared_ptr<SandboxHandle> sandbox = std::move(handle);
  const io::Deadline help_by = std::min(deadline, io::Deadline::in(kHelpLimit));
  LMSB_CO_TRY(const std::string help, co_await read_help(loop, sandbox, options.program, help_by));
  ServerSettings settings;
  settings.socket = kSocket;
  settings.model = std::string(kModelAt) + "/model.gguf";
  settings.name = model.name;
  settings.ends_loops = model.is_demonstration;
  settings.makes_embeddings = options.makes_embeddings;
  settings.context = options.context;
  settings.threads = options.threads;
  LMSB_CO_TRY(auto command, server_command(options.program.path, help, settings));
  LMSB_CO_TRY(auto process, sandbox->channel().start(program_spec(options.program, std::move(command)), -1));
  LMSB_CO_CHECK(co_await process.wait_started(deadline));
  io::ForeignPipe out = process.take_stdout();
  io::ForeignPipe err = process.take_stderr();
  const auto state = std::make_shared<State>(loop, std::move(sandbox), std::move(process));
  state->share = std::move(options.share);
  state->makes_embeddings = options.makes_embeddings;
  std::shared_ptr<Runner> runner(new Runner(state, std::move(model)));
  io::spawn(loop, State::listen(state, std::move(out)));
  io::spawn(loop, State::listen(state, std::move(err)));
  io::spawn(loop, State::watch_end(state));
  const Status ready = co_await State::wait_ready(state, deadline);
  if (ready.ok()) co_return runner;
  if (state->has_ended) co_await State::settle(state);
  const std::string what = "model " + runner->model().name;
  if (ready.error().code() == ErrorCode::deadline_exceeded)
    co_return Error(ErrorCode::deadline_exceeded,
                    what + " was not loaded within " + std::to_string(options.load_timeout.count()) + " ms")
        .with_cause(runner->last_words())
        .with_slug("model_load_timeout")
        .with_hint("raise [model] load_timeout_ms in the configuration, or choose a smaller model");
  co_return Error(ErrorCode::failed_precondition, what + " could not be loaded")
      .with_cause(runner->last_words())
      .with_slug("model_not_loadable")
      .with_hint("the file may be damaged or need more memory; pull it again or choose another model");
}

// One of the requests that a server may have at a time.
class Runner::Place {
 public:
  // Error: all are taken, or the server has ended.
  static Result<Place> take(std::shared_ptr<State> state) {
    if (!state->is_alive()) return state->died();
    if (state->asking >= kMaxAsking)
      return Error(ErrorCode::resource_exhausted, "the model has 256 requests already").with_slug("runner_busy");
    return Place(std::move(state));
  }
  ~Place() {
    if (state_) --state_->asking;
  }
  Place(Place&&) noexcept = default;
  Place& operator=(Place&&) = delete;

 private:
  explicit Place(std::shared_ptr<State> state) : state_(std::move(state)) { ++state_->asking; }
  std::shared_ptr<State> state_;
};

class Runner::Body final : public http::BodyReader {
 public:
  Body(std::shared_ptr<Runner> runner, Place place, guest_client::Process carrier,
       std::shared_ptr<http::BodyReader> octets, milliseconds silence)
      : runner_(std::move(runner)),
        place_(std::move(place)),
        carrier_(std::move(carrier)),
        octets_(std::move(octets)),
        silence_(silence) {}

  io::Task<std::string> read() override {
    State& state = *runner_->state_;
    const State::Exchange exchange{silence_, state.progress};
    auto piece = co_await octets_->read();
    if (!piece.ok()) co_return co_await State::explain(runner_->state_, std::move(piece).error(), exchange);
    ++state.progress;
    co_return piece;
  }

 private:
  const std::shared_ptr<Runner> runner_;
  const Place place_;
  const guest_client::Process carrier_;
  const std::shared_ptr<http::BodyReader> octets_;
  const milliseconds silence_;
};

io::Task<http::Response> Runner::ask(http::ClientRequest request) {
  const auto state = state_;
  LMSB_CO_TRY(const Place place, Place::take(state));
  const State::Exchange exchange{request.timeout, state->progress};
  const io::Deadline deadline = io::Deadline::in(request.timeout);
  auto carrier = co_await State::carry(state, request, deadline);
  if (!carrier.ok()) co_return co_await State::explain_start(state, std::move(carrier).error(), exchange);
  if (!carrier->answer) co_return state->no_carrier();
  auto answer = co_await http::read_answer(std::move(carrier->answer), request.max_body, deadline);
  if (!answer.ok()) co_return co_await State::explain(state, std::move(answer).error(), exchange);
  ++state->progress;
  co_return answer;
}

io::Task<http::StreamedAnswer> Runner::open(std::shared_ptr<Runner> runner, http::ClientRequest request) {
  const auto state = runner->state_;
  LMSB_CO_TRY(Place place, Place::take(state));
  const State::Exchange exchange{request.timeout, state->progress};
  const io::Deadline deadline = io::Deadline::in(request.timeout);
  auto carrier = co_await State::carry(state, request, deadline);
  if (!carrier.ok()) co_return co_await State::explain_start(state, std::move(carrier).error(), exchange);
  if (!carrier->answer) co_return state->no_carrier();
  request.body = {};  // the carrier has it
  auto answer = co_await http::open_answer(std::move(carrier->answer), request.max_body, deadline, request.silence);
  if (!answer.ok()) co_return co_await State::explain(state, std::move(answer).error(), exchange);
  answer->body = std::make_shared<Body>(std::move(runner), std::move(place), std::move(carrier->process),
                                        std::move(answer->body), request.silence);
  co_return answer;
}

}  // namespace lmsb::control
