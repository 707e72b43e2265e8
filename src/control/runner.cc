#include "control/runner.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/sysinfo.h>

#include "base/text.h"
#include "control/mount_offer.h"
#include "io/event.h"
#include "io/spawn.h"
#include "io/wait_fd.h"

namespace lmsb::control {
namespace {

using guest_client::Ending;
using guest_protocol::Program;

constexpr const char* kSocket = "/tmp/llama.sock";
constexpr const char* kReadySign = "listening on unix://";
constexpr std::size_t kKeptWords = 16 * 1024;

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

guest_client::StartSpec server_command(const RunnerOptions& options) {
  guest_client::StartSpec spec;
  spec.argv = {options.program.path, "-m", "/model/model.gguf", "--host", kSocket, "-c",
               std::to_string(options.context), "-np", "2", "--no-ui", "--no-slots", "--offline",
               // No trial run, no trying of sizes, no second copy of contexts in memory: ready sooner, smaller.
               "--no-warmup", "--fit", "off", "--cache-ram", "0"};
  if (options.threads > 0) {
    spec.argv.emplace_back("-t");
    spec.argv.push_back(std::to_string(options.threads));
  }
  spec.env = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/user", "LANG=C.UTF-8"};
  if (!options.program.bring_directory.empty())
    spec.env.emplace_back("LD_LIBRARY_PATH=/opt/llama:/opt/llama/lib:/opt/llama/../lib");
  spec.cwd = "/tmp";
  return spec;
}

}  // namespace

struct Runner::State {
  State(boost::asio::io_context& loop, std::shared_ptr<SandboxHandle> s, guest_client::Process p)
      : sandbox(std::move(s)), process(std::move(p)), changed(loop) {}

  // Reads what the server says until it ends. Keeps the last part and notices when it is ready.
  static io::Always<void> listen(std::shared_ptr<State> self, UniqueFd words) {
    (void)::fcntl(words.get(), F_SETFL, O_NONBLOCK);
    std::array<char, 4096> part{};
    for (;;) {
      const Status readable = co_await io::wait_readable(words);
      if (!readable.ok()) break;
      const ssize_t n = ::read(words.get(), part.data(), part.size());
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n <= 0) break;
      self->words.append(part.data(), static_cast<std::size_t>(n));
      if (self->words.find(kReadySign) != std::string::npos) self->is_ready = true;
      if (self->words.size() > 2 * kKeptWords) self->words.erase(0, self->words.size() - kKeptWords);
      self->changed.notify_all();
    }
  }

  static io::Always<void> watch_end(std::shared_ptr<State> self) {
    auto ended = co_await self->process.wait_ended(io::Deadline::never());
    self->has_ended = true;
    self->changed.notify_all();
  }

  std::shared_ptr<SandboxHandle> sandbox;
  guest_client::Process process;
  std::string words;
  bool is_ready = false;
  bool has_ended = false;
  io::Event changed;
};

Runner::~Runner() {
  state_->process.kill_tree();
  state_->sandbox.reset();  // the tasks that still hold the state end with the channel
}

bool Runner::is_alive() const { return !state_->has_ended && !state_->sandbox->channel().is_closed(); }

std::string Runner::last_words() const {
  const std::string& words = state_->words;
  return to_utf8(words.size() > 2000 ? std::string_view(words).substr(words.size() - 2000) : words);
}

io::Task<std::shared_ptr<Runner>> Runner::start(boost::asio::io_context& loop, Fleet& fleet, RunnerOptions options,
                                                model::Model model) {
  sandbox::SandboxSpec spec;
  spec.image = options.program.image;
  spec.limits = limits_for(model);
  spec.lifetime = sandbox::Lifetime::kept;
  LMSB_CO_TRY(const auto weights, co_await offer_mount(options.mount_desk, model.directory));
  sandbox::MountSpec mount;
  mount.target = "/model";
  mount.read_only = true;
  mount.token = weights;
  spec.mounts.push_back(mount);
  if (!options.program.bring_directory.empty()) {
    LMSB_CO_TRY(mount.token, co_await offer_mount(options.mount_desk, options.program.bring_directory));
    mount.target = "/opt/llama";
    spec.mounts.push_back(mount);
  }
  const io::Deadline deadline = io::Deadline::in(options.load_timeout);
  LMSB_CO_TRY(auto handle, co_await fleet.launch(spec));
  std::shared_ptr<SandboxHandle> sandbox = std::move(handle);
  LMSB_CO_TRY(auto process, sandbox->channel().start(server_command(options), -1));
  LMSB_CO_CHECK(co_await process.wait_started(deadline));
  UniqueFd out = process.take_stdout();
  UniqueFd err = process.take_stderr();
  const auto state = std::make_shared<State>(loop, std::move(sandbox), std::move(process));
  std::shared_ptr<Runner> runner(new Runner(state, std::move(model)));
  io::spawn(loop, State::listen(state, std::move(out)));
  io::spawn(loop, State::listen(state, std::move(err)));
  io::spawn(loop, State::watch_end(state));
  while (!state->is_ready && !state->has_ended) LMSB_CO_CHECK(co_await state->changed.wait(deadline));
  if (!state->is_ready)
    co_return Error(ErrorCode::failed_precondition,
                    "model " + runner->model().name + " could not be loaded: " + runner->last_words())
        .with_slug("model_not_loadable")
        .with_hint("the file may be damaged or need more memory; pull it again or choose another model");
  co_return runner;
}

io::Task<http::Response> Runner::ask(http::ClientRequest request) {
  const auto died = [this] {
    return Error(ErrorCode::unavailable, "the model runner has ended: " + last_words())
        .with_slug("runner_died")
        .with_hint("the next request starts a new one");
  };
  if (!is_alive()) co_return died();
  guest_client::StartSpec spec;
  spec.program = Program::connect;
  spec.argv = {kSocket};
  const io::Deadline deadline = io::Deadline::in(request.timeout);
  LMSB_CO_TRY(auto connecting, state_->sandbox->channel().start(spec, -1));
  LMSB_CO_TRY(const Ending ending, co_await connecting.wait_ended(deadline));
  if (ending.kind != Ending::Kind::connected) co_return died();
  auto answer = co_await http::fetch_on(connecting.take_connection(), "localhost", std::move(request));
  if (!answer.ok() && !is_alive()) co_return died();
  co_return answer;
}

}  // namespace lmsb::control
