// How a kept sandbox comes to be, from an image or from a copy of a disk, and again when it is started.
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "control/devices.h"
#include "control/engine.h"
#include "control/file_operation.h"
#include "control/names.h"
#include "control/policy.h"
#include "control/sandbox_mounts.h"
#include "io/spawn.h"

namespace lmsb::control {

using sandbox::Lifetime;

namespace {

constexpr std::chrono::milliseconds kMakingPlace{30'000};

// The working directory of a sandbox that is to be made, with what is missing above it: as its user, where he may.
// Errors: invalid_cwd where there cannot be one, and those of FileOperation.
io::Task<void> make_place(boost::asio::io_context& loop, std::shared_ptr<SandboxHandle> sandbox, std::string cwd) {
  std::vector<std::string> words = {"mkdir", std::move(cwd), "755", "1"};
  LMSB_CO_TRY(const auto making, co_await FileOperation::start(loop, std::move(sandbox), "make working directory",
                                                               std::move(words), FileOperation::Input::none));
  std::vector<FileInfo> entries;
  FileOperation::Sinks sinks;
  sinks.entries = &entries;
  auto made = co_await making->finish(sinks, kMakingPlace);
  if (made.ok()) co_return Status();
  Error refused = std::move(made).error();
  for (const std::string_view slug : {"file_access_denied", "file_exists", "not_a_directory", "invalid_path"})
    if (refused.slug() == slug) co_return std::move(refused).with_slug("invalid_cwd");
  co_return refused;
}

// Commands that name nobody are the profile's user's; each may name somebody else.
Status check_default_user(Profile profile, const std::string& user) {
  LMSB_CHECK(check_user(profile, user));
  if (profile == Profile::user || !check_user(Profile::user, user).ok() || user.empty()) return {};
  return Error(ErrorCode::permission_denied, "commands of a sandbox with the profile root that name no user are root's")
      .with_slug("user_not_allowed")
      .with_hint("leave `user` out here, and name user with each command that is to run as uid 1000");
}

// What commands of a sandbox that is to be made would start with, checked as theirs is.
Status check_place(const CreateSandbox& request) {
  Command command;
  command.cwd = request.cwd;
  command.user = request.user;
  command.env = request.env;
  LMSB_CHECK(check_command(command));
  LMSB_CHECK(check_default_user(request.profile, request.user));
  if (request.cwd.empty() || request.cwd.starts_with('/')) return {};
  return Error(ErrorCode::invalid_argument, "working directory " + quoted(request.cwd) + " is not an absolute path")
      .with_slug("invalid_cwd")
      .with_hint("begin it with a slash: /workspace");
}

}  // namespace

Status Engine::check_creation(const CreateSandbox& request) const {
  LMSB_CHECK(check_name(request.name));
  LMSB_CHECK(check_place(request));
  LMSB_CHECK(check_labels(request.labels));
  LMSB_CHECK(check_egress(request.egress));
  LMSB_CHECK(check_profile(options_.policy, request.profile));
  LMSB_CHECK(check_kept(request.limits, layers_, Asked::of_new));
  LMSB_CHECK(Lifecycle::check(with(Lifecycle::default_limits(request.name, false), request.life)));
  if (!registry_.has_name(request.name)) return {};
  return name_taken("sandbox", request.name)
      .with_hint("choose another name, or remove that sandbox first: lm-sandbox rm " + request.name);
}

io::Task<SandboxInfo> Engine::create(Principal who, CreateSandbox request) {
  note_given(who, request.egress);
  LMSB_CO_CHECK(check_creation(request));
  LMSB_CO_CHECK(co_await check_models(request.models));
  if (!request.snapshot.empty()) co_return co_await snapshots_.create_from(std::move(who), std::move(request));
  LMSB_CO_TRY(auto image, images_.find(request.image));
  Origin origin;
  origin.image = image.name;
  origin.defaults = std::move(image.defaults);
  LMSB_CO_TRY(origin.limits, limits_of(usual(kept_limits_, Lifetime::kept), request.limits));
  LMSB_CO_TRY(auto spec, spec_of(origin.image, origin.limits, Lifetime::kept, request.profile));
  LMSB_CO_CHECK(add_directories(spec, request.mounts));
  LMSB_CO_TRY(auto volumes, volumes_.hold(who, request.volumes));
  add_volumes(spec, volumes.mounts);
  LMSB_CO_TRY(spec.devices, find_devices(options_.devices, options_.policy, who, request.devices));
  const bool has_network = request.egress.mode != network::Mode::none;
  LMSB_CO_TRY(const auto quota, quotas_.take(who.name, begun(origin.limits, has_network)));  // until it is entered
  const Limits counted = with_gate(origin.limits, has_network);
  LMSB_CO_TRY(auto room, co_await admission_.take_room(who.name, counted, Lifetime::kept));
  std::vector<std::uint32_t> devices = spec.devices;
  auto models = allowance_of(request.models);
  Ways ways(who.name, request.egress, models);
  LMSB_CO_TRY(auto handle, co_await obtain(std::move(spec), std::move(ways), std::move(room)));
  Standing standing(std::move(handle), std::move(origin), std::move(volumes), std::move(models));
  standing.devices = std::move(devices);
  co_return co_await enter(std::move(who), std::move(request), std::move(standing));
}

// The copy is nobody's until enter() claims it: if this is cut short, the next start removes it.
io::Task<SandboxInfo> Engine::create_on_copy(Principal who, CreateSandbox request, Origin origin, Quotas::Held quota) {
  LMSB_CO_CHECK(check_creation(request));
  LMSB_CO_TRY(origin.limits, limits_of(origin.limits, request.limits));
  LMSB_CO_TRY(auto spec, spec_on_disk(origin.image, origin.defaults.digest, origin.limits, request.profile));
  if (!request.mounts.empty())
    co_return Error(ErrorCode::failed_precondition, "a sandbox from a snapshot has no directories of the machine")
        .with_slug("mounts_not_kept")
        .with_hint("leave mounts out, or create it from an image");
  LMSB_CO_TRY(auto volumes, volumes_.hold(who, request.volumes));
  add_volumes(spec, volumes.mounts);
  LMSB_CO_TRY(spec.devices, find_devices(options_.devices, options_.policy, who, request.devices));
  const Limits counted = with_gate(origin.limits, request.egress.mode != network::Mode::none);
  LMSB_CO_TRY(auto room, co_await admission_.take_room(who.name, counted, Lifetime::kept));
  spec.disk = guest_protocol::Disk::copied;
  spec.has_way_out = request.egress.mode != network::Mode::none;
  const std::string id = spec.id.str();
  std::vector<std::uint32_t> devices = spec.devices;
  auto handle = co_await launch_on_copy(std::move(spec), origin.disk);
  if (handle.ok()) (*handle)->owner = who.name;
  Status opened;
  if (handle.ok() && request.egress.mode != network::Mode::none)
    opened = co_await open_network(handle->get(), request.egress);
  auto models = allowance_of(request.models);
  if (handle.ok() && opened.ok()) opened = co_await model_channels_.open(handle->get(), models);
  if (!opened.ok()) handle = std::move(opened).error();
  if (!handle.ok()) {
    io::spawn(loop_, forget(this, id, std::move(quota)));
    co_return std::move(handle).error();
  }
  (*handle)->room = std::move(room);
  Standing standing(*std::move(handle), std::move(origin), std::move(volumes), std::move(models));
  standing.devices = std::move(devices);
  auto entered = co_await enter(std::move(who), std::move(request), std::move(standing));
  quota.reset();
  co_return entered;
}

io::Task<Fleet::Handle> Engine::launch_on_copy(sandbox::SandboxSpec spec, std::string origin) {
  {
    LMSB_CO_TRY(const auto place, co_await fleet_.disk_place());
    LMSB_CO_CHECK(co_await fleet_.copy_disk(*place, std::move(origin), spec.id.str(), Fleet::Replaces::no));
  }
  co_return co_await fleet_.launch(std::move(spec));
}

// Of a sandbox that did not come to be; what it left counts until it is gone. What it leaves all the same the next
// start removes.
io::Always<void> Engine::forget(Engine* self, std::string id, Quotas::Held quota) {
  const auto counts = std::move(quota);
  const Status erased = co_await self->ledger_.take_back(id);
  if (!erased.ok() && erased.error().code() != ErrorCode::cancelled)
    self->log_.log(LogLevel::error, "ledger.failed", {{"id", id}, {"error", erased.error().message()}});
  (void)co_await self->fleet_.remove_disk(std::move(id));  // EBUSY: its handle does
}

io::Task<SandboxInfo> Engine::enter(Principal who, CreateSandbox request, Standing standing) {
  Origin origin = std::move(standing.origin);
  KeptSandbox kept;
  kept.handle = std::shared_ptr<SandboxHandle>(std::move(standing.handle));
  kept.info.id = kept.handle->id();
  kept.info.name = std::move(request.name);
  kept.info.image = origin.image;
  kept.info.image_digest = origin.defaults.digest;
  kept.move_to(SandboxState::running);
  kept.info.created_at = rfc3339_now();
  kept.info.labels = std::move(request.labels);
  kept.info.limits = origin.limits;
  kept.made_with = origin.limits;
  kept.info.egress = request.egress;
  kept.info.profile = request.profile;
  kept.info.models = std::move(request.models);
  kept.models = std::move(standing.models);
  kept.info.isolation = layers_in_force(kept.handle->layers());
  kept.info.limits_kept = limits_kept(kept.handle->layers());
  kept.info.volumes = std::move(standing.volumes.mounts);
  kept.volume_uses = std::move(standing.volumes.uses);
  kept.owner = who.name;
  ImageDefaults defaults = std::move(origin.defaults);
  if (!request.cwd.empty()) defaults.workdir = request.cwd;
  for (auto& [name, value] : model_variables(kept.info.models)) defaults.env[name] = value;
  add_device_variables(options_.devices, standing.devices, defaults.env);
  for (auto& [name, value] : request.env) defaults.env[name] = std::move(value);
  defaults.profile = request.profile;
  kept.defaults = std::make_shared<const ImageDefaults>(std::move(defaults));
  kept.processes = std::make_shared<ProcessTable>(loop_);
  kept.info.keeps_disk = kept.handle->has_disk() && !options_.ledger.empty();
  kept.info.devices = request.devices;
  kept.has_mounts = !request.mounts.empty() || !request.devices.empty();
  kept.is_provisional = request.is_provisional;
  const bool can_start_again = kept.info.keeps_disk && !kept.has_mounts;
  const LifeLimits life = with(Lifecycle::default_limits(kept.info.name, can_start_again), request.life);
  LMSB_CO_CHECK(Lifecycle::check_disk(life, kept.info.keeps_disk));
  lifecycle_.begin(kept, life);
  const std::string id = kept.info.id;
  const bool keeps_disk = kept.info.keeps_disk;
  Status written;
  if (!request.cwd.empty()) written = co_await make_place(loop_, kept.handle, request.cwd);
  if (written.ok() && keeps_disk) {
    const Fleet::Claiming claiming(fleet_);
    auto writing = ledger_.put(std::vector<store::SandboxRow>{row_of(kept)}, request.promise.keep(kept.info, id));
    written = co_await std::move(writing);
    if (written.ok()) written = co_await fleet_.claim_disk(claiming, id);
  }
  auto entered = written.ok() ? registry_.add(std::move(kept)) : Result<KeptSandbox*>(std::move(written).error());
  // Its directory could not be made, or its row not be written, who asked has gone, or somebody else's sandbox has got
  // the name since that was checked: making a directory may take long.
  if (!entered.ok()) {
    if (keeps_disk) io::spawn(loop_, forget(this, id, quotas_.hold(who.name, disk_of(origin.limits))));
    co_return std::move(entered).error();
  }
  const KeptSandbox* added = *entered;
  keep_models(*added);
  keep_to_policy(*added);  // it may have become another one since the network was opened
  if (keeps_disk) added->handle->keep_disk();
  Lifecycle::let_stay(*added);
  const std::string profile(to_string(added->info.profile));
  log_.log(LogLevel::info, "sandbox.created",
           {{"id", added->info.id}, {"image", added->info.image}, {"profile", profile}, {"by", who.name}});
  lifecycle_.tell(SandboxEvent::Kind::created, *added, who.name);
  co_return added->describe();
}

Result<sandbox::SandboxSpec> Engine::spec_on_disk(const std::string& image, const std::string& digest,
                                                  const Limits& limits, Profile profile) {
  LMSB_CHECK(check_image(image, digest));
  return spec_of(image, limits, Lifetime::kept, profile);
}

Status Engine::check_image(const std::string& image, const std::string& digest) {
  LMSB_TRY(const auto found, images_.find(image));
  if (found.defaults.digest == digest) return {};
  return Error(ErrorCode::failed_precondition, "image " + image + " is another one than the disk lies on")
      .with_slug("image_changed")
      .with_hint("that was " + digest);
}

Limits Engine::usual(Limits limits, Lifetime lifetime) const {
  return admission_.within(within_policy(limits), lifetime);
}

// What the operator allows is said before what does not go together.
Result<Limits> Engine::limits_of(const Limits& usual, const LimitChanges& changes) const {
  LMSB_CHECK(check_limits(with(usual, changes)));
  return asked(usual, changes);
}

Limits Engine::within_policy(Limits limits) const {
  limits = within(options_.policy, limits);
  limits.disk = std::min(limits.disk, options_.policy.disk);
  return limits;
}

Status Engine::can_start(const KeptSandbox& sandbox) {
  if (sandbox.has_mounts) return mounts_not_kept(sandbox.info.id);
  LMSB_CHECK(check_egress(sandbox.info.egress));
  const auto volumes = volumes_.hold_again(sandbox.info.volumes);
  if (!volumes.ok()) return volumes.error();
  const SandboxInfo& info = sandbox.info;
  const auto spec = spec_on_disk(info.image, info.image_digest, info.limits, info.profile);
  return spec.ok() ? Status() : Status(Error(spec.error()));
}

io::Task<Fleet::Handle> Engine::launch_again(std::string owner, SandboxInfo sandbox,
                                             std::shared_ptr<ModelAllowance> models, Admission::Share room) {
  LMSB_CO_TRY(auto spec, spec_on_disk(sandbox.image, sandbox.image_digest, sandbox.limits, sandbox.profile));
  LMSB_CO_TRY(const auto volumes, volumes_.hold_again(sandbox.volumes));
  add_volumes(spec, volumes.mounts);
  const bool has_way_out = spec.has_way_out = sandbox.egress.mode != network::Mode::none;
  const Limits counted = with_gate(sandbox.limits, has_way_out);
  LMSB_CO_CHECK(admission_.resize(room, counted, Lifetime::kept));  // they may have changed while it waited
  const auto id = SandboxId::parse(sandbox.id);
  if (!id) co_return Error(ErrorCode::internal, "a sandbox's id is malformed");
  spec.id = *id;
  spec.disk = guest_protocol::Disk::existing;
  LMSB_CO_TRY(auto handle, co_await fleet_.launch(std::move(spec)));
  handle->room = std::move(room);
  handle->owner = std::move(owner);
  Status opened;
  if (has_way_out) opened = co_await open_network(handle.get(), sandbox.egress);
  if (opened.ok()) opened = co_await model_channels_.open(handle.get(), std::move(models));
  if (opened.ok()) co_return handle;
  const std::uint64_t serial = handle->serial();
  handle.reset();
  LMSB_CO_CHECK(co_await fleet_.wait_destroyed(serial));  // its disk is free when this is told
  co_return std::move(opened).error();
}

Result<std::string> Engine::plan_text(const Principal& who, const OneShot& request) {
  network::Egress egress = request.egress;
  note_given(who, egress);
  LMSB_CHECK(check_egress(egress));
  LMSB_CHECK(check_form(request.models));
  LMSB_CHECK(control::check_models(options_.policy, request.models));
  LMSB_TRY(const auto image, images_.find(request.image));
  LMSB_CHECK(check_kept(request.limits, layers_, Asked::of_new));
  LMSB_TRY(const Limits limits, limits_of(usual(Limits(), Lifetime::one_shot), request.limits));
  LMSB_TRY(auto spec, spec_of(image.name, limits, Lifetime::one_shot, request.profile));
  LMSB_CHECK(add_directories(spec, request.mounts));
  LMSB_TRY(const auto volumes, volumes_.hold(who, request.volumes));
  add_volumes(spec, volumes.mounts);
  LMSB_TRY(spec.devices, find_devices(options_.devices, options_.policy, who, request.devices));
  spec.has_way_out = request.egress.mode != network::Mode::none;
  LMSB_TRY(const auto plan, sandbox::plan(spec));
  return sandbox::to_text(plan);
}

}  // namespace lmsb::control
