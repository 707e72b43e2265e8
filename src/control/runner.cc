#include "control/runner.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/sysinfo.h>

#include "base/text.h"
#include "control/mount_offer.h"
#include "control/output_capture.h"
#include "io/event.h"
#include "io/spawn.h"
#include "io/wait_fd.h"
#include "os/memfd.h"
#include "os/pipe.h"

namespace lmsb::control {
namespace {

using guest_client::Ending;
using guest_client::StartSpec;
using guest_protocol::Program;
using std::chrono::milliseconds;

constexpr const char* kSocket = "/tmp/llama.sock";
constexpr const char* kModelAt = "/model";
constexpr std::size_t kKeptWords = 16 * 1024;
constexpr std::size_t kMaxAsking = 256;
constexpr milliseconds kHelpLimit{60'000};
constexpr milliseconds kHealthLimit{5'000};   // for one answer to "are you ready?"
constexpr milliseconds kFirstPause{20};       // between two such questions, at least
constexpr milliseconds kLongestPause{1'000};  // of a server that says nothing
constexpr milliseconds kEndNotice{1'000};     // from one sign of its end to all of them

// The weights are mapped (the page cache is the machine's), so this is for the context and for computing.
sandbox::Limits limits_for(const model::Model& model) {
  sandbox::Limits limits;
  struct sysinfo info {};
  (void)::sysinfo(&info);
  const std::uint64_t machine = std::uint64_t{info.totalram} * info.mem_unit;
  limits.memory = Bytes(std::min(machine, 2 * model.facts.size.count() + Bytes::GiB(2).count()));
  limits.cpu_millis = static_cast<std::uint32_t>(std::max(1, ::get_nprocs())) * 1000;
  limits.processes = 512;
  limits.disk = Bytes::GiB(1);
  return limits;
}

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
  spec.limits = limits_for(model);
  spec.lifetime = sandbox::Lifetime::kept;
  LMSB_CO_TRY(auto weights, co_await offer(options.mount_desk, model.directory, kModelAt));
  spec.mounts.push_back(std::move(weights));
  for (const std::string& directory : options.program.directories) {
    LMSB_CO_TRY(auto mount, co_await offer(options.mount_desk, directory, directory));
    spec.mounts.push_back(std::move(mount));
  }
  co_return spec;
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
  static io::Always<void> listen(std::shared_ptr<State> self, UniqueFd words) {
    std::array<char, 4096> part{};
    for (;;) {
      const Status readable = co_await io::wait_readable(words);
      if (!readable.ok()) break;
      const ssize_t n = os::read_pipe_now(words.get(), part.data(), part.size());
      if (n < 0 && errno == EAGAIN) continue;
      if (n <= 0) break;
      self->words.append(part.data(), static_cast<std::size_t>(n));
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

  // Carries one request to the server and its answer back.
  static io::Task<http::Response> converse(std::shared_ptr<State> self, http::ClientRequest request,
                                           io::Deadline deadline) {
    LMSB_CO_TRY(const std::string octets, http::to_octets(request, "localhost"));
    LMSB_CO_TRY(const UniqueFd input, os::make_sealed_memfd("request", octets));
    StartSpec spec;
    spec.program = Program::connect;
    spec.argv = {kSocket};
    LMSB_CO_TRY(auto carrier, self->sandbox->channel().start(spec, input.get()));
    LMSB_CO_CHECK(co_await carrier.wait_started(deadline));
    co_return co_await http::read_answer(carrier.take_stdout(), request.max_body, deadline);
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
  std::string words;
  std::uint64_t heard = 0;  // parts
  std::size_t asking = 0;
  int listening = 2;
  bool has_ended = false;
  io::Event changed;
};

Runner::~Runner() {
  state_->process.kill_tree();
  state_->sandbox.reset();  // the tasks that still hold the state end with the channel
}

bool Runner::is_alive() const { return !state_->has_ended && !state_->sandbox->channel().is_closed(); }

std::string Runner::last_words() const { return end_of(state_->words); }

io::Task<std::shared_ptr<Runner>> Runner::start(boost::asio::io_context& loop, Fleet& fleet, RunnerOptions options,
                                                model::Model model) {
  const io::Deadline deadline = io::Deadline::in(options.load_timeout);
  LMSB_CO_TRY(const auto spec, co_await sandbox_for(options, model));
  LMSB_CO_TRY(auto handle, co_await fleet.launch(spec));
  std::shared_ptr<SandboxHandle> sandbox = std::move(handle);
  const io::Deadline help_by = std::min(deadline, io::Deadline::in(kHelpLimit));
  LMSB_CO_TRY(const std::string help, co_await read_help(loop, sandbox, options.program, help_by));
  ServerSettings settings;
  settings.socket = kSocket;
  settings.model = std::string(kModelAt) + "/model.gguf";
  settings.context = options.context;
  settings.threads = options.threads;
  LMSB_CO_TRY(auto command, server_command(options.program.path, help, settings));
  LMSB_CO_TRY(auto process, sandbox->channel().start(program_spec(options.program, std::move(command)), -1));
  LMSB_CO_CHECK(co_await process.wait_started(deadline));
  UniqueFd out = process.take_stdout();
  UniqueFd err = process.take_stderr();
  const auto state = std::make_shared<State>(loop, std::move(sandbox), std::move(process));
  std::shared_ptr<Runner> runner(new Runner(state, std::move(model)));
  io::spawn(loop, State::listen(state, std::move(out)));
  io::spawn(loop, State::listen(state, std::move(err)));
  io::spawn(loop, State::watch_end(state));
  const Status ready = co_await State::wait_ready(state, deadline);
  if (ready.ok()) co_return runner;
  if (state->has_ended) co_await State::settle(state);
  const std::string what = "model " + runner->model().name;
  if (ready.error().code() == ErrorCode::deadline_exceeded)
    co_return Error(ErrorCode::deadline_exceeded, what + " was not loaded within " +
                                                      std::to_string(options.load_timeout.count()) +
                                                      " ms: " + runner->last_words())
        .with_slug("model_load_timeout")
        .with_hint("raise [model] load_timeout_ms in the configuration, or choose a smaller model");
  co_return Error(ErrorCode::failed_precondition, what + " could not be loaded: " + runner->last_words())
      .with_slug("model_not_loadable")
      .with_hint("the file may be damaged or need more memory; pull it again or choose another model");
}

Error Runner::died() const {
  return Error(ErrorCode::unavailable, "the model runner has ended: " + last_words())
      .with_slug("runner_died")
      .with_hint("the next request starts a new one");
}

io::Task<http::Response> Runner::ask(http::ClientRequest request) {
  const auto state = state_;
  if (!is_alive()) co_return died();
  if (state->asking >= kMaxAsking)
    co_return Error(ErrorCode::resource_exhausted, "the model has 256 requests already").with_slug("runner_busy");
  const milliseconds limit = request.timeout;
  ++state->asking;
  auto answer = co_await State::converse(state, std::move(request), io::Deadline::in(limit));
  --state->asking;
  if (answer.ok() || answer.error().code() == ErrorCode::cancelled) co_return answer;
  if (answer.error().code() == ErrorCode::deadline_exceeded)
    co_return Error(ErrorCode::deadline_exceeded,
                    "the model runner did not answer within " + std::to_string(limit.count()) + " ms")
        .with_slug("runner_timeout")
        .with_hint("raise [model] answer_timeout_ms in the configuration, or ask for less");
  co_await State::settle(state);
  if (!is_alive()) co_return died();
  co_return Error(ErrorCode::unavailable, "the model runner gave no usable answer: " + answer.error().message())
      .with_slug("runner_failed")
      .with_hint("the next request starts a new one");
}

}  // namespace lmsb::control
