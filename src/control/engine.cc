#include "control/engine.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <fcntl.h>

#include <fmt/format.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/command_stream.h"
#include "control/devices.h"
#include "control/goodbye.h"
#include "control/ledger_check.h"
#include "control/machine.h"
#include "control/outlive.h"
#include "control/sandbox_mounts.h"
#include "control/takeover.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

using sandbox::Lifetime;

constexpr Bytes kMaxCollected = Bytes::MiB(32);

// A hint that spares a model the search for the reason.
void add_hint(ExecResult& result, network::Mode mode) {
  if (mode != network::Mode::none || !result.hint.empty() || result.outcome != Outcome::exited || result.exit_code == 0)
    return;
  for (const char* sign : {"Network is unreachable", "Could not resolve host", "Temporary failure in name resolution"})
    if (result.err.data.find(sign) != std::string::npos) {
      result.hint = "this sandbox has no network";
      return;
    }
}

constexpr std::chrono::seconds kLookAtDisks{5};
constexpr std::chrono::seconds kAsksEnd{5};  // of requests to models that have been cancelled

io::Task<void> nothing_to_write() { co_return Status(); }

bool has_row(const KeptSandbox& sandbox) { return sandbox.info.keeps_disk && sandbox.defaults; }

}  // namespace

Engine::Engine(boost::asio::io_context& loop, EngineParts parts, EngineOptions options, Metrics& metrics, Logger& log)
    : loop_(loop),
      fleet_(parts.fleet),
      images_(std::move(parts.images), options.default_image,
              [this](const std::string& name) { fleet_.forget_ready(name); }),
      models_(std::move(parts.models)),
      options_(std::move(options)),
      metrics_(metrics),
      log_(log),
      admission_(parts.admission),
      events_(loop, AuditLog(options_.audit_log, options_.audit_retention, log),
              options_.events.empty() ? nullptr : std::make_unique<EventJournal>(options_.events, log)),
      ledger_(loop, options_.ledger, log),
      keys_(loop, ledger_, events_, log),
      networks_(loop, fleet_, options_.network, metrics, log),
      model_channels_(loop, log),
      model_turns_(loop),
      sandbox_asks_(loop),
      lifecycle_(loop,
                 {registry_, events_,
                  [this](const std::string& id, const std::string& by) {
                    io::spawn(loop_, end_and_tell(this, id, remove_now(id, by)));
                  },
                  [this](const KeptSandbox& sandbox, const Limits& limits) {
                    return quotas_.take(sandbox.owner, growth(sandbox, limits));
                  },
                  [this](KeptSandbox& sandbox) { return quotas_.take_running(sandbox); },
                  [this](std::shared_ptr<SandboxHandle> sandbox, Limits before, Limits limits) {
                    return change_limits(std::move(sandbox), before, limits);
                  },
                  [this](const network::Egress& egress) { return check_egress(egress); },
                  [this](std::shared_ptr<SandboxHandle> sandbox, network::Egress egress) {
                    return change_network(std::move(sandbox), std::move(egress));
                  },
                  [this](const KeptSandbox& sandbox) {
                    const bool has_network = sandbox.info.egress.mode != network::Mode::none;
                    return admission_.take_room(sandbox.owner, with_gate(sandbox.info.limits, has_network),
                                                Lifetime::kept);
                  },
                  [this](const KeptSandbox& sandbox, Admission::Share room) {
                    return launch_again(sandbox.owner, sandbox.info, sandbox.models, std::move(room));
                  },
                  [this](std::uint64_t serial) { return fleet_.wait_destroyed(serial); },
                  [this](const KeptSandbox& sandbox) {
                    if (sandbox.info.keeps_disk) ledger_.put_later(sandbox);
                  },
                  [this](const KeptSandbox& sandbox) {
                    return sandbox.info.keeps_disk ? ledger_.put(row_of(sandbox)) : nothing_to_write();
                  }},
                 log),
      processes_(loop,
                 {registry_, admission_, options_.spill, [this] { return options_.policy.timeout; },
                  [this](const ExecResult& result) { count(result); },
                  [this](const CommandNote& command, const ExecResult* result) { tell_command(command, result); }},
                 log),
      volumes_(loop,
               {fleet_, registry_, ledger_, events_, [this] { return options_.policy.disk; },
                [this](const std::string& owner, Bytes more) {
                  return quotas_.check(owner, {0, 0, 0, more.count()});
                }},
               log),
      quotas_({registry_, [this](const std::string& owner) { return keys_.quota_of(owner); },
               [this](const std::string& owner) { return volumes_.bytes_of(owner) + snapshots_.bytes_of(owner); }}),
      snapshots_(
          loop,
          {fleet_, registry_, ledger_, lifecycle_, events_, admission_,
           [this](Principal who, CreateSandbox request, Origin origin, Quotas::Held quota) {
             return create_on_copy(std::move(who), std::move(request), std::move(origin), std::move(quota));
           },
           [this](Principal who, std::string id) { return remove(std::move(who), std::move(id)); },
           [this](const KeptSandbox& sandbox) { return can_start(sandbox); },
           [this] { return options_.policy.snapshots; }, [this](const Limits& limits) { return within_policy(limits); },
           [this](const Origin& origin) { return check_image(origin.image, origin.defaults.digest); }, quotas_,
           parts.pool},
          log),
      files_(loop, parts.pool,
             [this](const Principal& who, const std::string& id_or_name) -> Result<FileHome> {
               LMSB_TRY(auto visit, registry_.visit(who, id_or_name));
               return FileHome{std::move(visit.sandbox), visit.defaults->workdir, std::move(visit.use)};
             }),
      ports_(loop, registry_, events_),
      kept_limits_(created_defaults()),
      ending_(loop) {
  answers_.when_forgotten(
      [this](const std::string& owner, const std::string& key) { ledger_.erase_answer_later(owner, key); });
  set_policy(options_.policy);
}

Engine::~Engine() = default;

void Engine::set_policy(PolicyCaps caps) {
  policy_as_set_ = caps;
  if (caps.memory.count() == 0) caps.memory = machine_memory();
  if (caps.cpu_millis == 0) caps.cpu_millis = machine_cpus() * 1000;
  options_.policy = caps;
  for (const auto& [id, sandbox] : registry_.all()) keep_to_policy(sandbox);
}

void Engine::keep_to_policy(const KeptSandbox& sandbox) {
  if (!sandbox.handle || sandbox.info.egress.mode == network::Mode::none) return;
  networks_.allow(sandbox.handle, sandbox.info.egress, check_egress(sandbox.info.egress));
}

io::Task<void> Engine::open_network(SandboxHandle* sandbox, network::Egress egress) {
  LMSB_CO_CHECK(check_egress(egress));
  Status opened = co_await networks_.open(sandbox, egress);
  if (opened.ok()) opened = check_egress(egress);
  co_return opened;
}

Limits Engine::created_defaults() {
  Limits limits;
  limits.memory = std::min(Bytes::GiB(4), Bytes(machine_memory().count() / 2));
  limits.cpu_millis = machine_cpus() * 1000;
  limits.processes = 1024;
  limits.disk = Bytes::GiB(10);
  return limits;
}

std::vector<std::string> Engine::missing() const {
  std::vector<std::string> all = layers_missing(layers_);
  all.insert(all.end(), options_.weaker.begin(), options_.weaker.end());
  return all;
}

Status Engine::refuse_if_weaker() const {
  const auto weaker = missing();
  if (!options_.refuses_weaker || weaker.empty()) return {};
  return Error(ErrorCode::failed_precondition, "sandboxes would be weaker here than [policy] refuse_weaker allows: " +
                                                   fmt::format("{}", fmt::join(weaker, "; ")));
}

io::Task<void> Engine::prepare() {
  LMSB_CO_TRY(const auto image, images_.find(""));
  PoolKind one_shot;
  one_shot.image = image.name;
  one_shot.limits = usual(one_shot.limits, Lifetime::one_shot);
  {  // before others are taken up: what an operator refuses to run they must not run on in
    auto first = co_await fleet_.take(one_shot);
    if (!first.ok())
      co_return std::move(first)
          .error()
          .with_context("the first sandbox")
          .with_hint("lm-sandbox doctor says what is missing on this machine");
    layers_ = (*first)->layers();
    LMSB_CO_CHECK(refuse_if_weaker());
    LMSB_CO_CHECK(can_keep(policy_as_set_));
  }
  if (!options_.ledger.empty()) {
    const Heirs heirs{fleet_,
                      registry_,
                      keys_,
                      answers_,
                      events_,
                      ledger_,
                      lifecycle_,
                      processes_,
                      snapshots_,
                      volumes_,
                      admission_,
                      networks_,
                      model_channels_,
                      options_.policy,
                      [this](const KeptSandbox& sandbox) { keep_models(sandbox); },
                      log_};
    LMSB_CO_CHECK(co_await take_over_sandboxes(loop_, heirs));
  } else {
    events_.take_over(EventJournal::Before::unknown);
  }
  lifecycle_.watch_lives();
  keys_.watch();
  // Of those that run on their guests have said it.
  for (auto& [id, sandbox] : registry_.all()) {
    const Layers layers = sandbox.handle ? sandbox.handle->layers() : layers_;
    sandbox.info.isolation = layers_in_force(layers);
    sandbox.info.limits_kept = limits_kept(layers);
  }
  ready_ = true;
  io::spawn(loop_, watch_disks(this));
  PoolKind kept = one_shot;
  kept.limits = usual(kept_limits_, Lifetime::kept);
  kept.lifetime = Lifetime::kept;
  fleet_.keep_ready(one_shot, options_.pool_size);
  fleet_.keep_ready(kept, options_.kept_pool_size);
  models_->begin();
  co_return Status();
}

Status Engine::check_limits(const Limits& limits) const {
  const PolicyCaps& caps = options_.policy;
  if (limits.memory > caps.memory) return above_policy("limits.memory_bytes", format_bytes(caps.memory));
  if (limits.shm > sandbox::most_shm(caps.memory)) return above_policy("limits.shm_bytes", format_bytes(caps.memory));
  if (limits.cpu_millis > caps.cpu_millis) return above_policy("limits.cpus", std::to_string(caps.cpu_millis / 1000.0));
  if (limits.processes > caps.processes) return above_policy("limits.processes", std::to_string(caps.processes));
  if (limits.disk > caps.disk) return above_policy("limits.disk_bytes", format_bytes(caps.disk));
  return {};
}

Status Engine::check_egress(const network::Egress& egress) const {
  LMSB_TRY(const auto rules, networks_.rules_of(egress));
  return control::check_egress(options_.policy, egress, rules);
}

Result<sandbox::SandboxSpec> Engine::spec_of(const std::string& image, const Limits& limits, Lifetime lifetime,
                                             Profile profile) const {
  LMSB_CHECK(check_limits(limits));
  LMSB_CHECK(check_profile(options_.policy, profile));
  LMSB_CHECK(check_profile(options_.root_profile, image, profile));
  LMSB_CHECK(admission_.check(limits, lifetime));
  sandbox::SandboxSpec spec;
  spec.image = image;
  spec.limits = limits;
  spec.lifetime = lifetime;
  spec.profile = profile;
  if (lifetime == Lifetime::kept) spec.disk = guest_protocol::Disk::fresh;
  return spec;
}

// Prepared if it is of a kind that the pool keeps, else launched. Of a launch that fails, or that nobody waits for any
// more, the room is free at once: nothing ever runs in what may come of it.
io::Task<Fleet::Handle> Engine::obtain(sandbox::SandboxSpec spec, Ways ways, Admission::Share room) {
  const bool has_way_out = spec.has_way_out = ways.egress.mode != network::Mode::none;
  const bool is_like_others =
      spec.mounts.empty() && spec.devices.empty() && !has_way_out && spec.profile == Profile::user;
  PoolKind kind;
  kind.image = spec.image;
  kind.limits = spec.limits;
  kind.lifetime = spec.lifetime;
  auto obtaining = is_like_others ? fleet_.take(std::move(kind)) : fleet_.launch(std::move(spec));
  LMSB_CO_TRY(auto handle, co_await std::move(obtaining));
  handle->room = std::move(room);
  handle->owner = std::move(ways.owner);
  if (has_way_out) LMSB_CO_CHECK(co_await open_network(handle.get(), std::move(ways.egress)));
  LMSB_CO_CHECK(co_await model_channels_.open(handle.get(), std::move(ways.models)));
  co_return handle;
}

// What every one-shot begins with: memory for its sandbox, a place among the running, and the sandbox. In this order:
// who waits for memory keeps nobody from running commands in sandboxes that have theirs.
io::Task<Engine::OneShotPlace> Engine::place_once(const Principal& who, OneShot& request) {
  LMSB_CO_CHECK(check_command(request.command));
  LMSB_CO_CHECK(settle_timeout(request.command, options_.policy.timeout));
  LMSB_CO_CHECK(check_paths(request.collect));
  note_given(who, request.egress);
  LMSB_CO_CHECK(check_egress(request.egress));
  LMSB_CO_CHECK(co_await check_models(request.models));
  LMSB_CO_TRY(auto image, images_.find(request.image));
  LMSB_CO_CHECK(check_user(request.profile, request.command.user));
  LMSB_CO_CHECK(check_kept(request.limits, layers_, Asked::of_new));
  LMSB_CO_TRY(const Limits limits, limits_of(usual(Limits(), Lifetime::one_shot), request.limits));
  LMSB_CO_TRY(auto spec, spec_of(image.name, limits, Lifetime::one_shot, request.profile));
  LMSB_CO_CHECK(add_directories(spec, request.mounts));
  LMSB_CO_TRY(auto volumes, volumes_.hold(who, request.volumes));
  add_volumes(spec, volumes.mounts);
  LMSB_CO_TRY(spec.devices, find_devices(options_.devices, options_.policy, who, request.devices));
  OneShotPlace place;
  const bool has_network = request.egress.mode != network::Mode::none;
  Holding one = running(spec.limits, has_network);
  one.sandboxes = 1;
  LMSB_CO_TRY(place.quota, quotas_.take(who.name, one));
  place.volumes = std::move(volumes.uses);
  place.image = std::move(image.defaults);
  place.image.profile = request.profile;
  for (const auto& [name, value] : model_variables(request.models)) place.image.env[name] = value;
  add_device_variables(options_.devices, spec.devices, place.image.env);
  const Limits counted = with_gate(spec.limits, has_network);
  auto room = admission_.try_room(counted, spec.lifetime);
  if (!room) {
    LMSB_CO_TRY(room, co_await admission_.take_room(who.name, counted, spec.lifetime));
  }
  LMSB_CO_TRY(place.slot, co_await admission_.enter(who.name));
  place.slot.add_wait(room->waited_ms());
  Ways ways(who.name, request.egress, allowance_of(request.models));
  LMSB_CO_TRY(place.sandbox, co_await obtain(std::move(spec), std::move(ways), *std::move(room)));
  co_return place;
}

io::Task<OneShotResult> Engine::run_once(Principal who, OneShot request) {
  LMSB_CO_TRY(auto place, co_await place_once(who, request));
  const std::string cwd = request.command.cwd.empty() ? place.image.workdir : request.command.cwd;
  if (!request.files.empty()) LMSB_CO_CHECK(co_await put_files(loop_, *place.sandbox, cwd, std::move(request.files)));
  RunPlace once;
  once.one_shot = true;
  const auto note = note_once(*place.sandbox, who.name);
  if (note) tell_command(*note, nullptr);
  auto ran = co_await run_command(loop_, *place.sandbox, place.image, std::move(request.command), once);
  if (note) tell_command(*note, &told_of(ran));
  if (!ran.ok()) co_return std::move(ran).error();
  OneShotResult result;
  result.exec = *std::move(ran);
  result.exec.usage.queue_ms = place.slot.waited_ms();
  if (!request.collect.empty())
    result.collected = co_await collect_files(loop_, *place.sandbox, cwd, std::move(request.collect), kMaxCollected);
  fleet_.discard(std::move(place.sandbox));
  count(result.exec);
  add_hint(result.exec, request.egress.mode);
  co_return result;
}

io::Task<std::shared_ptr<CommandStream>> Engine::follow_once(Principal who, OneShot request) {
  LMSB_CO_TRY(auto once, co_await place_once(who, request));
  const std::string cwd = request.command.cwd.empty() ? once.image.workdir : request.command.cwd;
  if (!request.files.empty()) LMSB_CO_CHECK(co_await put_files(loop_, *once.sandbox, cwd, std::move(request.files)));
  StreamPlace place;
  const auto discard = [this, volumes = std::move(once.volumes), quota = std::move(once.quota)](
                           SandboxHandle* sandbox) { fleet_.discard(Fleet::Handle(sandbox)); };
  place.sandbox = std::shared_ptr<SandboxHandle>(once.sandbox.release(), discard);
  place.image = std::move(once.image);
  place.one_shot = true;
  place.slot = std::move(once.slot);
  const auto note = note_once(*place.sandbox, who.name);
  if (note) place.on_start = [this, note] { tell_command(*note, nullptr); };
  place.on_verdict = [this, note](const ExecResult& result) {
    count(result);
    if (note) tell_command(*note, &result);
  };
  co_return co_await open_command_stream(loop_, std::move(place), std::move(request.command));
}

Result<SandboxInfo> Engine::get(const Principal& who, const std::string& id_or_name) {
  LMSB_TRY(const KeptSandbox* sandbox, registry_.find(who, id_or_name));
  return sandbox->describe();
}

Result<SandboxPage> Engine::list(const Principal& who, std::optional<SandboxState> state,
                                 const std::map<std::string, std::string>& labels, std::size_t limit,
                                 const std::string& cursor) {
  return registry_.list(who, state, labels, std::clamp<std::size_t>(limit, 1, 1000), cursor);
}

io::Task<void> Engine::remove(Principal who, std::string id_or_name) {
  LMSB_CO_TRY(const KeptSandbox* found, registry_.find(who, id_or_name));
  const std::string id = found->info.id;
  co_return co_await outlive(loop_, remove_now(id, who.name));
}

// Its row says that it is to go before anything of it does, so that the next daemon ends what this one could not. Where
// that cannot be written down, nothing of it has been touched. One whose row says so already needs no room for it.
io::Task<void> Engine::remove_now(std::string id, std::string by) {
  LMSB_CO_TRY(KeptSandbox * sandbox, registry_.get(id));
  while (const auto other = sandbox->removing) {
    while (!other->is_over) LMSB_CO_CHECK(co_await other->ended.wait());
    LMSB_CO_TRY(sandbox, registry_.get(id));
  }
  const auto removing = std::make_shared<Move>(loop_);
  sandbox->removing = removing;
  Status marked;
  if (has_row(*sandbox) && !sandbox->is_provisional) marked = co_await ledger_.note(row_of(*sandbox));
  removing->is_over = true;
  removing->ended.notify_all();
  const auto found = registry_.get(id);
  if (!found.ok()) co_return Fleet::daemon_ends();
  if (marked.ok()) co_return co_await take_away(id, by);
  (*found)->removing.reset();
  ledger_.put_later(**found);  // who wrote of it meanwhile wrote that it is to go
  lifecycle_.put_off(id, marked.error());
  co_return marked;
}

io::Task<void> Engine::take_away(const std::string& id, const std::string& by) {
  auto sandbox = registry_.take(id);
  LMSB_ASSERT(sandbox.has_value());
  if (sandbox->handle) sandbox->handle->end();  // commands that run in it hold it a moment longer
  log_.log(LogLevel::info, "sandbox.removed", {{"id", id}, {"by", by}});
  lifecycle_.tell(SandboxEvent::Kind::removed, *sandbox, by);
  Quotas::Held quota = quotas_.hold(sandbox->owner, holding_of(*sandbox));
  return end_of(*std::move(sandbox), std::move(quota));
}

io::Always<void> Engine::end_and_tell(Engine* self, std::string id, io::Task<void> end) {
  const Status ended = co_await std::move(end);
  if (ended.ok() || ended.error().code() == ErrorCode::cancelled) co_return;
  self->log_.log(LogLevel::warning, "sandbox.remove_failed", {{"id", id}, {"error", ended.error().message()}});
  self->lifecycle_.put_off(id, ended.error());  // where it is still there
}

// What is stopping or starting it goes first. Its row says that it is to go, and where it cannot be erased it is gone
// all the same: the next daemon does that. It counts for its owner to the end.
io::Task<void> Engine::end_of(KeptSandbox sandbox, Quotas::Held quota) {
  const auto counts = std::move(quota);
  if (const auto moving = sandbox.moving) {
    while (!moving->is_over) LMSB_CO_CHECK(co_await moving->ended.wait());
  }
  const std::string id = sandbox.info.id;
  const bool was_stopped = !sandbox.handle;
  if (sandbox.handle) {
    sandbox.handle->drop_disk();
    const std::uint64_t serial = sandbox.handle->serial();
    sandbox.handle.reset();
    LMSB_CO_CHECK(co_await fleet_.wait_destroyed(serial));
  }
  // Also of what its own end has removed already: whether that went well is told here.
  if (has_row(sandbox) || was_stopped) LMSB_CO_CHECK(co_await fleet_.remove_disk(id));
  if (!has_row(sandbox)) co_return Status();
  const Status erased = co_await ledger_.erase(id);
  if (!erased.ok() && erased.error().code() != ErrorCode::cancelled)
    log_.log(LogLevel::error, "ledger.failed", {{"id", id}, {"error", erased.error().message()}});
  co_return Status();
}

io::Task<SandboxInfo> Engine::pause(Principal who, std::string id_or_name) {
  co_return co_await lifecycle_.pause(std::move(who), std::move(id_or_name));
}

io::Task<SandboxInfo> Engine::resume(Principal who, std::string id_or_name) {
  co_return co_await lifecycle_.resume(std::move(who), std::move(id_or_name));
}

io::Task<SandboxInfo> Engine::stop(Principal who, std::string id_or_name, std::chrono::milliseconds grace) {
  co_return co_await lifecycle_.stop(std::move(who), std::move(id_or_name), grace);
}

io::Task<SandboxInfo> Engine::start(Principal who, std::string id_or_name) {
  co_return co_await lifecycle_.start(std::move(who), std::move(id_or_name));
}

// What it will count for is asked for before, and what it does not any more is given back afterwards.
io::Task<void> Engine::change_limits(std::shared_ptr<SandboxHandle> sandbox, Limits before, Limits limits) {
  Limits meanwhile = limits;
  meanwhile.memory = std::max(before.memory, limits.memory);
  meanwhile.cpu_millis = std::max(before.cpu_millis, limits.cpu_millis);
  const bool has_network = sandbox->network != nullptr;
  LMSB_CO_CHECK(admission_.resize(sandbox->room, with_gate(meanwhile, has_network), Lifetime::kept));
  const auto changed = co_await fleet_.change_limits(sandbox->serial(), limits);
  const Limits now = with_gate(changed.ok() ? limits : before, has_network);
  (void)admission_.resize(sandbox->room, now, Lifetime::kept);  // never more than meanwhile
  if (!changed.ok()) co_return changed.error();
  co_return Status();
}

// One that has had no network until now counts for its gate, too; for its owner, unless the policy that it had did so.
io::Task<void> Engine::change_network(std::shared_ptr<SandboxHandle> sandbox, network::Egress egress) {
  LMSB_CO_CHECK(check_egress(egress));  // the operator may allow less by now
  LMSB_CO_TRY(const KeptSandbox* kept, registry_.get(sandbox->id()));
  const Limits limits = kept->info.limits;
  const bool begins = !sandbox->network && egress.mode != network::Mode::none;
  const bool counts = kept->info.egress.mode != network::Mode::none;
  if (begins && !counts) LMSB_CO_CHECK(quotas_.check(kept->owner, gate()));
  if (begins) LMSB_CO_CHECK(admission_.resize(sandbox->room, with_gate(limits, true), Lifetime::kept));
  Status changed = co_await networks_.change(sandbox, std::move(egress));
  if (begins && !changed.ok()) (void)admission_.resize(sandbox->room, limits, Lifetime::kept);  // less
  co_return changed;
}

io::Task<SandboxInfo> Engine::update(Principal who, std::string id_or_name, UpdateSandbox changes) {
  LMSB_CO_CHECK(check_kept(changes.limits, layers_, Asked::of_existing));
  const Limits nothing{Bytes(0), 0, 0, Bytes(0), Bytes(0)};
  LMSB_CO_CHECK(check_limits(with(nothing, changes.limits)));
  LMSB_CO_CHECK(admission_.check(with(nothing, changes.limits), Lifetime::kept));
  co_return co_await lifecycle_.update(std::move(who), std::move(id_or_name), std::move(changes));
}

io::Task<SandboxStats> Engine::stats(Principal who, std::string id_or_name) {
  LMSB_CO_TRY(const KeptSandbox* sandbox, registry_.find(who, id_or_name));
  SandboxStats stats;
  stats.sandbox_id = sandbox->info.id;
  stats.name = sandbox->info.name;
  stats.state = sandbox->state();
  stats.limits = sandbox->info.limits;
  stats.limits_kept = sandbox->info.limits_kept;
  const bool has_disk = sandbox->info.keeps_disk && stats.state != SandboxState::lost;
  const std::string id = sandbox->info.id;  // it may be gone by the end
  if (sandbox->models) stats.models = sandbox->models->usage();
  const bool is_there = stats.state == SandboxState::running || stats.state == SandboxState::paused;
  if (is_there && sandbox->handle) {
    stats.usage = sandbox->handle->usage();
    const std::shared_ptr<SandboxNetwork> network = sandbox->handle->network;
    LMSB_CO_TRY(NetworkUsage moved, co_await fleet_.network_usage(id));
    if (network) {
      const NetworkCounts counts = network->log().counts();
      moved.received_bytes += counts.received_bytes;
      moved.sent_bytes += counts.sent_bytes;
    }
    stats.network = moved;
  }
  if (has_disk) {
    LMSB_CO_TRY(stats.disk_bytes, co_await fleet_.weigh_disk(id));
  }
  co_return stats;
}

Result<NetworkReport> Engine::network(const Principal& who, const std::string& id_or_name) {
  LMSB_TRY(const KeptSandbox* sandbox, registry_.find(who, id_or_name));
  NetworkReport report;
  report.egress = sandbox->info.egress;
  report.is_denied = !check_egress(report.egress).ok();
  if (!sandbox->handle || !sandbox->handle->network) return report;
  const NetworkLog& log = sandbox->handle->network->log();
  report.counts = log.counts();
  report.events.assign(log.events().begin(), log.events().end());
  return report;
}

Result<std::unique_ptr<EventStream>> Engine::events(Principal who, FollowEvents asked) {
  if (!asked.sandbox.empty()) {
    auto found = registry_.find(who, asked.sandbox);
    const bool may_be_gone = asked.after && !found.ok() && found.error().code() == ErrorCode::not_found;
    if (!found.ok() && !may_be_gone) return std::move(found).error();
    if (found.ok()) asked.sandbox = (*found)->info.id;
  }
  return events_.follow(std::move(who), std::move(asked));
}

std::optional<CommandNote> Engine::note_once(const SandboxHandle& sandbox, const std::string& by) const {
  if (!events_.has_audit_log()) return std::nullopt;
  return CommandNote{sandbox.id(), create_prefixed_id(kProcessPrefix), by};
}

void Engine::tell_command(const CommandNote& command, const ExecResult* result) {
  if (!events_.wants_commands()) return;
  Event event;
  event.type = result == nullptr ? "process.started" : "process.ended";
  event.sandbox = command.sandbox;
  event.subject = command.process;
  event.by = command.by;
  if (result != nullptr) event.outcome = to_string(result->outcome);
  if (result != nullptr) event.exit_code = result->exit_code.value_or(-1);
  const auto found = registry_.all().find(command.sandbox);
  if (found == registry_.all().end()) {  // a one-shot's, or of one that is gone, which who follows has been told
    event.owner = command.by;
    return events_.note_command(std::move(event));
  }
  event.name = found->second.info.name;
  event.owner = found->second.owner;
  if (events_.follows_commands()) event.labels = found->second.info.labels;  // for who may see it
  events_.add_command(std::move(event));
}

io::Task<ExecResult> Engine::exec(Principal who, std::string id_or_name, Command command) {
  LMSB_CO_CHECK(check_command(command));
  LMSB_CO_CHECK(settle_timeout(command, options_.policy.timeout));
  LMSB_CO_TRY(const KeptSandbox* found, registry_.find(who, id_or_name));
  const std::string id = found->info.id;  // it may be removed, or paused, while its command waits
  const network::Mode network = found->info.egress.mode;
  const Life::Use waiting(found->life);
  LMSB_CO_TRY(const auto slot, co_await admission_.enter(who.name));
  LMSB_CO_TRY(const auto visit, registry_.come_back(who, id));
  RunPlace kept;
  kept.spill = options_.spill;
  kept.attached = visit.processes->attached;
  kept.process = create_prefixed_id(kProcessPrefix);
  const CommandNote note{id, kept.process, who.name};
  tell_command(note, nullptr);
  auto ran = co_await run_command(loop_, *visit.sandbox, *visit.defaults, std::move(command), kept);
  tell_command(note, &told_of(ran));
  if (!ran.ok()) co_return std::move(ran).error();
  ExecResult result = *std::move(ran);
  result.usage.queue_ms = slot.waited_ms();
  count(result);
  add_hint(result, network);
  co_return result;
}

void Engine::count(const ExecResult& result) {
  metrics_.counter("lmsb_commands_total", "Commands by verdict", {{"outcome", std::string(to_string(result.outcome))}})
      .increment();
}

Result<std::vector<ImageInfo>> Engine::images() { return images_.list(); }

Info Engine::info() {
  Info info;
  info.version = LMSB_VERSION;
  info.default_image = images_.default_image();
  info.isolation = layers_in_force(layers_);
  if (ready_) info.weaker = missing();
  if (!fleet_.keeps_disks().value_or(true))
    info.weaker.emplace_back("the disks of kept sandboxes lie in memory and end with them (docs/user/lifecycle.md)");
  for (const sandbox::TableDevice& device : options_.devices.devices)
    info.devices.push_back({device.name, device.fault});
  info.device_faults = options_.devices.faults;
  info.sandboxes = registry_.size();
  info.prepared = fleet_.prepared();
  info.running = admission_.running();
  info.waiting = admission_.waiting();
  info.memory_budget = Bytes(admission_.sandboxes().total().memory);
  info.memory_held = Bytes(admission_.sandboxes().held().memory);
  info.memory_overcommit = admission_.options().memory_overcommit;
  return info;
}

io::Task<LedgerReport> Engine::ledger(Principal) {
  const Compared compared{fleet_, registry_, ledger_, snapshots_, volumes_};
  co_return co_await check_ledger(compared);
}

// One-shots need no store: without it the daemon is as ready as one that never had it.
HealthReport Engine::health() {
  return {ready_, {{"sandboxes", ready_}, {"store", store_works_}, {"database", ledger_.works()}}};
}

// The kernel ends all writing when it finds the store damaged, and nobody is told; nor is who may not write for some
// time that there is no room for the database. drain() ends this, or that there is neither.
io::Always<void> Engine::watch_disks(Engine* engine) {
  bool has_store = true;
  while (engine->ready_ && (has_store || engine->ledger_.keeps_anything())) {
    (void)co_await engine->ending_.wait(io::Deadline::in(kLookAtDisks));
    if (!engine->ready_) co_return;
    (void)co_await engine->ledger_.check();  // it remembers, and logs, what it finds
    if (!has_store || !engine->store_works_) continue;
    const Status looked = co_await engine->fleet_.check_store();
    has_store = looked.ok() || looked.error().sys_errno() != ENODEV;
    if (looked.ok() || looked.error().slug() != "store_failed") continue;
    engine->store_works_ = false;
    engine->log_.log(LogLevel::error, "store.failed",
                     {{"error", looked.error().message()}, {"hint", looked.error().hint()}});
  }
}

io::Always<void> Engine::drain() {
  ready_ = false;
  ending_.notify_all();
  auto sandboxes = registry_.take_all();
  for (const auto& [id, sandbox] : sandboxes) {
    if (sandbox.handle) sandbox.handle->model_door.reset();
  }
  co_await sandbox_asks_.wait_none(io::Deadline::in(kAsksEnd));  // what they have cost is counted then
  std::vector<std::shared_ptr<SandboxHandle>> busy;
  for (const auto& [id, sandbox] : sandboxes) {
    const bool runs = sandbox.handle && !sandbox.handle->stays() && sandbox.state() == SandboxState::running;
    if (!runs || !sandbox.handle->has_work()) continue;
    sandbox.processes->hang_up();
    busy.push_back(sandbox.handle);
  }
  co_await say_goodbye(loop_, std::move(busy));
  for (auto& [id, sandbox] : sandboxes) {
    if (sandbox.models && sandbox.info.keeps_disk) ledger_.put_later(sandbox);  // what it has used until now
    if (!sandbox.handle) continue;
    if (sandbox.handle->stays()) {
      sandbox.handle->leave();
      continue;
    }
    sandbox.handle->end();  // whoever waits in it lets go of it
    sandbox.info.state = SandboxState::stopped;
    if (sandbox.info.keeps_disk) ledger_.put_later(sandbox);
    const auto end = sandbox.info.keeps_disk ? SandboxEvent::Kind::stopped : SandboxEvent::Kind::removed;
    lifecycle_.tell(end, sandbox, "daemon");
  }
  sandboxes.clear();  // their handles go, which the fleet waits for
  co_await models_->drain();
  co_await fleet_.drain();
  co_await ledger_.settle();
}

}  // namespace lmsb::control
