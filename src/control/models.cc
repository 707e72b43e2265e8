#include "control/models.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/text.h"
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
constexpr std::size_t kMostPulls = 3;        // each has a thread of the pool

// On a thread of the pool.
Result<model::Model> bring_into(const model::Store& store, const model::HubPlaces& places, const PullModel& request,
                                const UniqueFd* handed, const model::PullProgress& tell) {
  const std::string& wanted = request.name;
  const std::string of_source = wanted.empty() ? model::name_from_source(request.source) : wanted;
  if (handed != nullptr) return store.pull_open(handed->get(), request.source, of_source);
  LMSB_TRY(const model::Source source, model::parse_source(request.source));
  if (std::holds_alternative<model::FileSource>(source)) return store.pull(request.source, of_source);
  LMSB_TRY(model::RemoteFile file, model::find_remote(source, places, request.token, store.limits(), tell));
  if (!wanted.empty()) file.name = wanted;
  return store.pull_remote(file, tell);
}

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

// What is known of it without a file of its own, which it gets when it is loaded.
model::Model demonstration() {
  model::Model model;
  model.name = model::kDemonstrationName;
  model.facts.size = Bytes(model::demonstration_file().size());
  model.is_demonstration = true;
  return model;
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
  if (!is_there(found.models, model::kDemonstrationName)) infos.push_back(info_of(demonstration()));
  for (ModelInfo& info : infos) info.is_default = info.id == found.chosen;
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

io::Task<std::unique_ptr<PullStream>> Models::pull(PullModel request) {
  if (request.handle.empty()) LMSB_CO_CHECK(model::parse_source(request.source));
  LMSB_CO_TRY(auto handed, take_handed(request.handle));
  if (pulls_.size() >= kMostPulls)
    co_return Error(ErrorCode::resource_exhausted,
                    "so many models are being pulled already: " + std::to_string(kMostPulls))
        .with_slug("pulls_busy")
        .with_hint("try again when one of them is there");
  auto pull = std::make_shared<Pull>(loop_);
  pulls_.insert(pull);
  io::spawn(loop_, run_pull(this, pull, std::move(request), std::move(handed)));
  co_return watch(std::move(pull));
}

io::Always<void> Models::run_pull(Models* self, std::shared_ptr<Pull> pull, PullModel request,
                                  std::shared_ptr<UniqueFd> handed) {
  auto brought = self->bring(pull, std::move(request), std::move(handed));
  auto model = co_await std::move(brought);
  self->pulls_.erase(pull);
  pull->end(std::move(model));
}

io::Task<ModelInfo> Models::bring(std::shared_ptr<Pull> pull, PullModel request, std::shared_ptr<UniqueFd> handed) {
  auto work = [store = store_, places = options_.hub, tell = pull->teller(), request, handed] {
    return bring_into(store, places, request, handed.get(), tell);
  };
  auto job = pool_.run(std::move(work));
  LMSB_CO_TRY(const model::Model model, co_await std::move(job));
  forget(model.name);
  log_.log(LogLevel::info, "model.pulled", {{"name", model.name}, {"bytes", model.facts.size.count()}});
  co_return info_of(model);
}

std::optional<model::Model> Models::loaded_demonstration() const {
  const SlotKey key(model::kDemonstrationName, false);
  if (!is_loaded(key)) return std::nullopt;
  const model::Model& model = slots_.at(key)->runner->model();
  return model.is_demonstration ? std::optional(model) : std::nullopt;
}

io::Task<model::Model> Models::choose(std::string name) {
  if (name.empty()) name = options_.default_model;
  auto look = [store = store_, wanted = std::move(name), demonstration = loaded_demonstration()] {
    return choose_from(store, wanted, demonstration);
  };
  auto job = pool_.run(std::move(look));
  co_return co_await std::move(job);
}

io::Task<model::Model> Models::choose_asked(std::string name) {
  auto chosen = co_await choose(std::move(name));
  if (!chosen.ok() && chosen.error().slug() == "model_ambiguous")
    co_return Error(chosen.error())
        .with_code(ErrorCode::invalid_argument)
        .with_slug("model_ambiguous")
        .with_hint("name one: \"model\"");
  co_return chosen;
}

io::Task<ModelAnswer> Models::ask(ModelRequest wanted) {
  LMSB_CO_TRY(const model::Model model, co_await choose_asked(std::move(wanted.model)));
  LMSB_CO_TRY(auto runner, co_await runner_for(model, wanted.work));
  if (wanted.keep_alive) {
    Slot* const slot = slot_with({model.name, runner->makes_embeddings()}, runner);
    if (slot != nullptr) slot->keep_alive = *wanted.keep_alive;
  }
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
  for (const auto& pull : pulls_) pull->cancel();  // what has come stays
  slots_.clear();
  co_return;
}

}  // namespace lmsb::control
