#include "control/models.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "io/spawn.h"
#include "json/value.h"
#include "json/writer.h"
#include "model/demonstration.h"

namespace lmsb::control {
namespace {

constexpr Bytes kMaxAnswer = Bytes::MiB(16);

bool is_runners_fault(const Error& error) {
  return error.slug() == "runner_failed" || error.slug() == "runner_timeout";
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

// The text at `path` of nested members; a number stands for an item of a list.
std::optional<std::string> text_at(json::Value value, std::initializer_list<const char*> path) {
  for (const char* name : path) {
    const auto items = value.items();
    const auto next = std::string_view(name) == "0" ? (items.empty() ? std::nullopt : std::optional(items.front()))
                                                    : value.find(name);
    if (!next) return std::nullopt;
    value = *next;
  }
  const auto text = value.string();
  return text ? std::optional(std::string(*text)) : std::nullopt;
}

// The text in what llama-server answered: of a chat, of a raw completion.
Result<std::string> completion_text(const http::Response& answer, bool is_chat) {
  json::ParseFault fault;
  const auto document = json::Document::parse(answer.body, fault);
  if (document && answer.status == 200) {
    auto text = is_chat ? text_at(document->root(), {"choices", "0", "message", "content"})
                        : text_at(document->root(), {"content"});
    if (text) return *std::move(text);
  }
  if (const auto message = document ? text_at(document->root(), {"error", "message"}) : std::nullopt;
      message && answer.status == 400)
    return Error(ErrorCode::invalid_argument, "the model refuses the prompt: " + quoted(*message, 300))
        .with_slug("prompt_refused")
        .with_hint("shorten it, or raise [model] context in the configuration");
  return Error(ErrorCode::unavailable,
               "the model runner answered " + std::to_string(answer.status) + ": " + quoted(answer.body, 300))
      .with_slug("runner_failed")
      .with_hint("the next request starts a new one");
}

// No answer, or none that is HTTP: never the request's fault.
Error upstream_fault(const Error& error) {
  if (error.code() == ErrorCode::cancelled) return error;
  if (error.code() == ErrorCode::deadline_exceeded)
    return Error(error.code(), error.message())
        .with_slug("upstream_timeout")
        .with_hint("raise [upstream] timeout_ms in the configuration, or ask a faster model");
  return Error(ErrorCode::unavailable, error.message())
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
  return Error(ErrorCode::unavailable, error.message())
      .with_slug("model_damaged")
      .with_hint("pull it again with lm-sandbox model pull, or remove it");
}

// `demonstration`: that of a runner, which need not be compared with the program's again.
Result<model::Model> choose(const model::Store& store, const std::string& configured,
                            const std::optional<model::Model>& demonstration) {
  const auto models = store.list();
  const std::string name = default_name(store, models, configured);
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

Models::Models(boost::asio::io_context& loop, io::BlockingPool& pool, Fleet& fleet, image::Store images,
               model::Store store, ModelOptions options, Logger& log)
    : loop_(loop),
      pool_(pool),
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
    const auto slot = slots_.find(info.id);
    info.loaded = slot != slots_.end() && slot->second->runner && slot->second->runner->is_alive();
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
  slots_.erase(name);  // a runner of the older file ends with its last answer
  log_.log(LogLevel::info, "model.pulled", {{"name", name}, {"bytes", model.facts.size.count()}});
  co_return info_of(model);
}

io::Task<std::shared_ptr<Runner>> Models::runner_for(model::Model model) {
  auto& slot = slots_[model.name];
  if (slot && ((slot->runner && !slot->runner->is_alive()) || slot->failure)) slot.reset();
  if (!slot) {
    slot = std::make_shared<Slot>(loop_);
    // A task of its own: the load goes on when the client that asked first goes away.
    io::spawn(loop_, start_runner(this, slot, std::move(model)));
  }
  const std::shared_ptr<Slot> waited = slot;
  while (!waited->runner && !waited->failure) LMSB_CO_CHECK(co_await waited->changed.wait());
  if (waited->failure) co_return *waited->failure;
  co_return waited->runner;
}

io::Task<std::shared_ptr<Runner>> Models::make_runner(model::Model model) {
  auto find = [images = images_, configured = options_.llama_server] { return find_llama_server(images, configured); };
  auto job = pool_.run(std::move(find));
  RunnerOptions options;
  LMSB_CO_TRY(options.program, co_await std::move(job));
  options.mount_desk = options_.mount_desk;
  options.context = options_.context;
  options.threads = options_.threads;
  options.load_timeout = options_.load_timeout;
  co_return co_await Runner::start(loop_, fleet_, std::move(options), std::move(model));
}

io::Always<void> Models::start_runner(Models* self, std::shared_ptr<Slot> slot, model::Model model) {
  const std::string name = model.name;
  auto runner = co_await self->make_runner(std::move(model));
  if (runner.ok()) {
    slot->runner = *std::move(runner);
    self->log_.log(LogLevel::info, "model.loaded", {{"name", name}});
  } else {
    self->log_.log(LogLevel::warning, "model.load_failed", {{"name", name}, {"error", runner.error().message()}});
    slot->failure = std::move(runner).error();
  }
  slot->changed.notify_all();
}

// A runner that did not answer as it should gets no more requests: the next starts a new one.
void Models::retire(const std::shared_ptr<Runner>& runner, const Error& error) {
  const auto slot = slots_.find(runner->model().name);
  if (slot == slots_.end() || slot->second->runner != runner) return;
  log_.log(LogLevel::warning, "model.retired", {{"name", runner->model().name}, {"error", error.message()}});
  slots_.erase(slot);
}

std::optional<model::Model> Models::loaded_demonstration() const {
  const auto slot = slots_.find(std::string(model::kDemonstrationName));
  if (slot == slots_.end() || !slot->second->runner || !slot->second->runner->is_alive()) return std::nullopt;
  const model::Model& model = slot->second->runner->model();
  return model.is_demonstration ? std::optional(model) : std::nullopt;
}

io::Task<Completion> Models::complete(std::string prompt) {
  auto look = [store = store_, configured = options_.default_model, demonstration = loaded_demonstration()] {
    return choose(store, configured, demonstration);
  };
  auto job = pool_.run(std::move(look));
  LMSB_CO_TRY(const model::Model model, co_await std::move(job));
  LMSB_CO_TRY(const auto runner, co_await runner_for(model));
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
  const auto answer = co_await runner->ask(std::move(request));
  auto text = answer.ok() ? completion_text(*answer, is_chat) : Result<std::string>(answer.error());
  if (!text.ok()) {
    if (is_runners_fault(text.error())) retire(runner, text.error());
    co_return std::move(text).error();
  }
  co_return Completion{*std::move(text), model.name, model.is_demonstration};
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
