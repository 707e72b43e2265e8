#include "control/models.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "control/machine.h"
#include "control/model_answers.h"
#include "http/body.h"
#include "io/spawn.h"
#include "json/value.h"
#include "json/writer.h"
#include "model/demonstration.h"

namespace lmsb::control {
namespace {

constexpr Bytes kMaxAnswer = Bytes::MiB(4);
constexpr Bytes kMaxStream = Bytes::GiB(1);  // read bit by bit

// All of an answer that was to come bit by bit.
io::Task<http::Response> collect(http::StreamedAnswer answer, io::Deadline deadline) {
  http::Response response;
  response.status = answer.status;
  for (std::string piece = "-"; !piece.empty();) {
    LMSB_CO_TRY(piece, co_await answer.body->read());
    response.body += piece;
    if (deadline.passed())
      co_return Error(ErrorCode::unavailable, "the model runner's answer does not end").with_slug("runner_failed");
    if (response.body.size() > kMaxAnswer.count())
      co_return Error(ErrorCode::unavailable, "the model runner's answer is longer than " + format_bytes(kMaxAnswer))
          .with_slug("runner_failed");
  }
  co_return response;
}

ModelInfo info_of(const model::Model& model) {
  ModelInfo info;
  info.id = model.name;
  info.size_bytes = model.facts.size.count();
  info.path = model.directory + "/model.gguf";
  return info;
}

ModelInfo info_of_demonstration() {
  ModelInfo info;
  info.id = model::kDemonstrationName;
  info.size_bytes = model::demonstration_file().size();
  info.is_demonstration = true;
  return info;
}

std::string chat_messages(const std::string& prompt) {
  json::Writer w;
  w.begin_array().begin_object().key("role").string("user").key("content").string(prompt).end_object().end_array();
  return std::move(w).str();
}

// No answer, or none that is HTTP: never the request's fault.
Error upstream_fault(const Error& error) {
  if (error.code() == ErrorCode::cancelled) return error;
  if (error.code() == ErrorCode::deadline_exceeded)
    return Error(error)
        .with_slug("upstream_timeout")
        .with_hint("raise [upstream] timeout_ms in the configuration, or ask a faster model");
  return Error(error)
      .with_code(ErrorCode::unavailable)
      .with_slug("upstream_unavailable")
      .with_hint("start it, or set [upstream] base_url and model in the configuration");
}

// The configured one, else the only one, else the demonstration model; "" when nothing decides between several. A model
// that cannot be read is not none: it is chosen, and is then an error.
std::string default_name(const model::Store& store, const std::vector<model::Model>& models,
                         const std::string& configured) {
  if (!configured.empty()) return configured;
  if (!models.empty()) return models.size() == 1 ? models.front().name : "";
  const auto names = store.names();
  return names.empty() ? std::string(model::kDemonstrationName) : names.front();
}

// The request is not to blame for what is in the store.
Error unreadable(const Error& error) {
  return Error(error)
      .with_code(ErrorCode::unavailable)
      .with_slug("model_damaged")
      .with_hint("pull it again with lm-sandbox model pull, or remove it");
}

// `demonstration`: that of a runner, which need not be compared with the program's again.
Result<model::Model> choose_from(const model::Store& store, const std::string& wanted,
                                 const std::optional<model::Model>& demonstration) {
  const auto models = wanted.empty() ? store.list() : std::vector<model::Model>();
  const std::string name = default_name(store, models, wanted);
  if (!name.empty()) {
    auto found = store.find(name);
    if (found.ok()) return found;
    if (found.error().slug() == "not_a_model") return unreadable(found.error());
    if (name != model::kDemonstrationName) return found;
    return demonstration ? *demonstration : store.demonstration();
  }
  std::string names;
  for (const model::Model& model : models) names += (names.empty() ? "" : ", ") + model.name;
  return Error(ErrorCode::unavailable, "there are several models: " + names)
      .with_slug("model_ambiguous")
      .with_hint("name one in the configuration: [model] default");
}

bool is_there(const std::vector<model::Model>& models, std::string_view name) {
  return std::any_of(models.begin(), models.end(), [name](const model::Model& model) { return model.name == name; });
}

}  // namespace

Models::Models(boost::asio::io_context& loop, io::BlockingPool& pool, Admission& admission, Fleet& fleet,
               image::Store images, model::Store store, ModelOptions options, Logger& log)
    : loop_(loop),
      pool_(pool),
      admission_(admission),
      fleet_(fleet),
      images_(std::move(images)),
      store_(std::move(store)),
      options_(std::move(options)),
      log_(log),
      desk_(open_desk()) {}

Models::~Models() = default;

// The start of taking models: away with what killed pulls have left.
std::unique_ptr<FileDesk> Models::open_desk() {
  if (const std::size_t swept = store_.sweep(); swept > 0)
    log_.log(LogLevel::info, "model.swept", {{"unfinished_pulls", swept}});
  if (options_.file_desk.empty()) return nullptr;
  auto desk = FileDesk::open(loop_, options_.file_desk, options_.desk_mode, options_.desk_group);
  if (desk.ok()) return *std::move(desk);
  // Files can still be pulled that the daemon itself may open.
  log_.log(LogLevel::warning, "model.no_file_desk", {{"error", desk.error().message()}});
  return nullptr;
}

io::Task<std::vector<ModelInfo>> Models::list() {
  struct Found {
    std::vector<model::Model> models;
    std::string chosen;  // "" = none
  };
  auto look = [store = store_, configured = options_.default_model]() -> Result<Found> {
    auto models = store.list();
    std::string chosen = default_name(store, models, configured);
    return Found{std::move(models), std::move(chosen)};
  };
  auto job = pool_.run(std::move(look));
  LMSB_CO_TRY(const Found found, co_await std::move(job));
  std::vector<ModelInfo> infos;
  for (const model::Model& model : found.models) infos.push_back(info_of(model));
  if (!is_there(found.models, model::kDemonstrationName)) infos.push_back(info_of_demonstration());
  for (ModelInfo& info : infos) {
    info.is_default = info.id == found.chosen;
    info.loaded = is_loaded(info.id);
  }
  co_return infos;
}

Result<std::shared_ptr<UniqueFd>> Models::take_handed(const std::string& handle) {
  if (handle.empty()) return nullptr;
  const auto token = sandbox::parse_mount_token(handle);
  auto file = token && desk_ ? desk_->take(*token) : std::nullopt;
  if (file) return std::make_shared<UniqueFd>(*std::move(file));
  return Error(ErrorCode::not_found, "no file was handed over for this handle")
      .with_slug("no_such_handle")
      .with_hint("a handle is good once and for a minute; lm-sandbox model pull FILE makes one");
}

io::Task<ModelInfo> Models::pull(PullModel request) {
  LMSB_CO_TRY(const auto handed, take_handed(request.handle));
  const std::string name = request.name.empty() ? model::name_from_source(request.source) : request.name;
  auto work = [store = store_, source = request.source, name, handed] {
    return handed ? store.pull_open(handed->get(), source, name) : store.pull(source, name);
  };
  auto job = pool_.run(std::move(work));
  LMSB_CO_TRY(const model::Model model, co_await std::move(job));
  forget(name);
  log_.log(LogLevel::info, "model.pulled", {{"name", name}, {"bytes", model.facts.size.count()}});
  co_return info_of(model);
}

io::Task<std::shared_ptr<Runner>> Models::runner_for(model::Model model, ModelWork work) {
  const SlotKey key(model.name, work == ModelWork::embedding);
  let_go(key);
  const auto slot = slots_.find(key);
  std::shared_ptr<Slot> found = slot == slots_.end() ? nullptr : slot->second;
  const auto unable = no_embedders_.find(model.name);
  if (key.second && unable != no_embedders_.end()) co_return unable->second;
  if (!found) {
    LMSB_CO_TRY(auto share, take_share(Runner::limits_for(model, options_.context).memory));
    found = std::make_shared<Slot>(loop_);
    found->share = std::move(share);
    slots_[key] = found;
    // A task of its own: the load goes on when the client that asked first goes away.
    io::spawn(loop_, start_runner(this, found, key, std::move(model)));
  }
  const std::shared_ptr<Slot> waited = found;
  waited->asked = ++asked_;
  while (!waited->runner && !waited->failure) LMSB_CO_CHECK(co_await waited->changed.wait());
  if (waited->failure) co_return *waited->failure;
  co_return waited->runner;
}

// Part of what may be loaded.
class Models::Share {
 public:
  Share(std::shared_ptr<Loaded> all, Bytes memory) : all_(std::move(all)), memory_(memory) {
    ++all_->models;
    all_->memory += memory_.count();
  }
  ~Share() {
    --all_->models;
    all_->memory -= memory_.count();
  }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

 private:
  const std::shared_ptr<Loaded> all_;
  const Bytes memory_;
};

Result<std::shared_ptr<void>> Models::take_share(Bytes memory) {
  Loaded left = *loaded_;
  std::vector<std::pair<std::uint64_t, SlotKey>> idle;  // by who was asked last
  for (const auto& [key, slot] : slots_) {
    if (!is_idle(slot)) continue;
    idle.emplace_back(slot->asked, key);
    if (!slot->runner || !slot->runner->is_alive()) continue;  // it has no share any more
    --left.models;
    left.memory -= Runner::limits_for(slot->runner->model(), options_.context).memory.count();
  }
  if (!has_room(left, memory)) return busy(left);
  std::sort(idle.begin(), idle.end());
  for (auto next = idle.begin(); !has_room(*loaded_, memory) && next != idle.end(); ++next) {
    log_.log(LogLevel::info, "model.let_go", {{"name", next->second.first}});
    slots_.erase(next->second);
  }
  return std::shared_ptr<void>(std::make_shared<Share>(loaded_, memory));
}

bool Models::has_room(const Loaded& loaded, Bytes memory) const {
  if (loaded.models == 0) return true;
  return loaded.models < options_.max_loaded && loaded.memory + memory.count() <= machine_memory().count();
}

Error Models::busy(const Loaded& at_work) const {
  const bool are_too_many = at_work.models >= options_.max_loaded;
  return Error(ErrorCode::resource_exhausted,
               std::to_string(at_work.models) + " models are at work, and there is no room for one more")
      .with_slug("models_busy")
      .with_hint(are_too_many ? "try again when one of them has answered, or raise [model] max_loaded"
                              : "try again when one of them has answered: the machine has no memory for all of them");
}

io::Task<std::shared_ptr<Runner>> Models::make_runner(SlotKey key, model::Model model, std::shared_ptr<void> share) {
  auto find = [images = images_, configured = options_.llama_server] { return find_llama_server(images, configured); };
  auto job = pool_.run(std::move(find));
  RunnerOptions options;
  LMSB_CO_TRY(options.program, co_await std::move(job));
  options.mount_desk = options_.mount_desk;
  options.context = options_.context;
  options.threads = options_.threads;
  options.makes_embeddings = key.second;
  options.load_timeout = options_.load_timeout;
  options.share = std::move(share);
  // In the name of nobody who asks: the model is there for all of them.
  const sandbox::Limits limits = Runner::limits_for(model, options_.context);
  auto waiting = admission_.take_room("model " + model.name, limits, sandbox::Lifetime::kept);
  LMSB_CO_TRY(options.room, co_await std::move(waiting));
  co_return co_await Runner::start(loop_, fleet_, std::move(options), std::move(model));
}

io::Always<void> Models::start_runner(Models* self, std::shared_ptr<Slot> slot, SlotKey key, model::Model model) {
  const std::string name = key.first;
  auto runner = co_await self->make_runner(std::move(key), std::move(model), std::move(slot->share));
  if (runner.ok()) {
    slot->runner = *std::move(runner);
    self->log_.log(LogLevel::info, "model.loaded", {{"name", name}});
  } else {
    self->log_.log(LogLevel::warning, "model.load_failed", {{"name", name}, {"error", runner.error().message()}});
    slot->failure = std::move(runner).error();
  }
  slot->changed.notify_all();
}

bool Models::is_loaded(const std::string& name) const {
  return is_loaded(SlotKey(name, false)) || is_loaded(SlotKey(name, true));
}

void Models::forget(const std::string& name) {
  slots_.erase({name, false});
  slots_.erase({name, true});
  no_embedders_.erase(name);
}

std::optional<model::Model> Models::loaded_demonstration() const {
  const SlotKey key(model::kDemonstrationName, false);
  if (!is_loaded(key)) return std::nullopt;
  const model::Model& model = slots_.at(key)->runner->model();
  return model.is_demonstration ? std::optional(model) : std::nullopt;
}

bool Models::is_loaded(const SlotKey& key) const {
  const auto slot = slots_.find(key);
  return slot != slots_.end() && slot->second->runner && slot->second->runner->is_alive();
}

bool Models::Slot::is_of_use() const { return runner ? runner->is_usable() : !failure; }

// One thread has all owners, so their count is exact: a request holds its runner, and who waits for one holds the slot.
bool Models::is_idle(const std::shared_ptr<Slot>& slot) {
  if (slot.use_count() > 1) return false;
  return slot->failure || !slot->runner->is_alive() || slot->runner.use_count() == 1;
}

void Models::let_go(const SlotKey& key) {
  const auto slot = slots_.find(key);
  if (slot == slots_.end() || slot->second->is_of_use()) return;
  const std::shared_ptr<Runner>& runner = slot->second->runner;
  if (runner && runner->fault() != nullptr)
    log_.log(LogLevel::warning, "model.retired", {{"name", key.first}, {"error", runner->fault()->message()}});
  slots_.erase(slot);
}

io::Task<model::Model> Models::choose(std::string name) {
  if (name.empty()) name = options_.default_model;
  auto look = [store = store_, wanted = std::move(name), demonstration = loaded_demonstration()] {
    return choose_from(store, wanted, demonstration);
  };
  auto job = pool_.run(std::move(look));
  co_return co_await std::move(job);
}

io::Task<ModelAnswer> Models::ask(ModelRequest wanted) {
  auto chosen = co_await choose(std::move(wanted.model));
  if (!chosen.ok() && chosen.error().slug() == "model_ambiguous")
    co_return Error(chosen.error())
        .with_code(ErrorCode::invalid_argument)
        .with_slug("model_ambiguous")
        .with_hint("name one: \"model\"");
  LMSB_CO_TRY(const model::Model model, std::move(chosen));
  LMSB_CO_TRY(auto runner, co_await runner_for(model, wanted.work));
  http::ClientRequest request("POST", std::move(wanted.path), std::move(wanted.body));
  request.timeout = options_.answer_timeout;
  request.silence = options_.answer_timeout;
  request.max_body = wanted.is_streamed ? kMaxStream : kMaxAnswer;
  auto asked = wanted.is_streamed ? open_events(runner, std::move(request)) : ask_whole(runner, std::move(request));
  auto answer = co_await std::move(asked);
  if (!answer.ok()) judge(runner, answer.error());
  co_return answer;
}

io::Task<ModelAnswer> Models::ask_whole(std::shared_ptr<Runner> runner, http::ClientRequest request) {
  LMSB_CO_TRY(auto response, co_await runner->ask(std::move(request)));
  ModelAnswer answer;
  LMSB_CO_TRY(answer.whole, whole_answer(std::move(response)));
  co_return answer;
}

io::Task<ModelAnswer> Models::open_events(std::shared_ptr<Runner> runner, http::ClientRequest request) {
  const io::Deadline deadline = io::Deadline::in(request.timeout);
  LMSB_CO_TRY(auto opened, co_await Runner::open(std::move(runner), std::move(request)));
  ModelAnswer answer;
  if (announces_events(opened.status, opened.headers)) {
    answer.events = std::move(opened.body);
    co_return answer;
  }
  LMSB_CO_TRY(const auto response, co_await collect(std::move(opened), deadline));
  co_return refusal_of(response.status, response.body);
}

void Models::judge(const std::shared_ptr<Runner>& runner, const Error& error) {
  if (error.slug() == "runner_failed") runner->blame(error);
  const SlotKey key(runner->model().name, runner->makes_embeddings());
  let_go(key);
  // One that cannot do what it is there for only takes room. Of a slot that is another's by now nothing is known.
  const auto slot = slots_.find(key);
  if (!runner->makes_embeddings() || !is_no_embedder(error) || slot == slots_.end() || slot->second->runner != runner)
    return;
  slots_.erase(slot);
  no_embedders_.insert_or_assign(key.first, error);
}

io::Task<Completion> Models::complete(std::string prompt) {
  std::string unnamed;
  LMSB_CO_TRY(const model::Model model, co_await choose(std::move(unnamed)));
  LMSB_CO_TRY(const auto runner, co_await runner_for(model, ModelWork::answer));
  const bool is_chat = model.facts.has_chat_template;
  json::Writer body;
  body.begin_object();
  if (is_chat) {
    body.key("messages").raw(chat_messages(prompt)).key("max_tokens").integer(options_.max_tokens);
  } else {
    body.key("prompt").string(prompt).key("n_predict").integer(options_.max_tokens);
  }
  body.end_object();
  http::ClientRequest request("POST", is_chat ? "/v1/chat/completions" : "/completion", std::move(body).str());
  request.timeout = options_.answer_timeout;
  request.max_body = kMaxAnswer;
  auto answer = co_await runner->ask(std::move(request));
  auto text = answer.ok() ? completion_text(*std::move(answer), is_chat) : Result<std::string>(answer.error());
  if (text.ok()) co_return Completion{*std::move(text), model.name, model.is_demonstration};
  Error error = std::move(text).error();
  // Nobody asked for an answer that long.
  if (error.slug() == "answer_too_long")
    error = Error(error)
                .with_code(ErrorCode::unavailable)
                .with_context("the model runner gave no usable answer")
                .with_slug("runner_failed")
                .with_hint("the next request starts a new one");
  judge(runner, error);
  co_return error;
}

io::Task<Control::UpstreamAnswer> Models::ask_upstream(std::string prompt) {
  std::string base_path;
  LMSB_CO_TRY(const http::Endpoint endpoint, http::Endpoint::parse(options_.upstream_url, &base_path));
  json::Writer body;
  body.begin_object()
      .key("model")
      .string(options_.upstream_model)
      .key("messages")
      .raw(chat_messages(prompt))
      .end_object();
  http::ClientRequest request("POST", base_path + "/chat/completions", std::move(body).str());
  request.timeout = options_.upstream_timeout;
  if (!options_.upstream_key.empty()) request.headers.set("Authorization", "Bearer " + options_.upstream_key.reveal());
  auto answer = co_await http::fetch(endpoint, std::move(request));
  if (!answer.ok()) co_return upstream_fault(answer.error());
  json::ParseFault fault;
  if (!json::Document::parse(answer->body, fault))
    co_return Error(ErrorCode::unavailable, "upstream " + options_.upstream_url + " answered " +
                                                std::to_string(answer->status) +
                                                " with something that is not JSON: " + quoted(answer->body, 120))
        .with_slug("upstream_not_json")
        .with_hint("[upstream] base_url must be that of an OpenAI-compatible server, ending in /v1");
  Control::UpstreamAnswer result;
  result.status = answer->status;
  result.body = std::move(answer->body);
  co_return result;
}

io::Always<void> Models::drain() {
  desk_.reset();
  slots_.clear();
  co_return;
}

}  // namespace lmsb::control
