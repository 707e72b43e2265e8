#include "control/models.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <unistd.h>

#include "base/text.h"
#include "io/spawn.h"
#include "json/value.h"
#include "json/writer.h"

namespace lmsb::control {
namespace {

constexpr const char* kLlamaImage = "llama";
constexpr const char* kServer = "llama-server";

ModelInfo info_of(const model::Model& model) {
  ModelInfo info;
  info.id = model.name;
  info.size_bytes = model.facts.size.count();
  info.path = model.directory + "/model.gguf";
  return info;
}

std::string find_on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string directory; std::getline(directories, directory, ':');)
    if (::access((directory + "/" + program).c_str(), X_OK) == 0) return directory + "/" + program;
  return "";
}

std::string chat_messages(const std::string& prompt) {
  json::Writer w;
  w.begin_array().begin_object().key("role").string("user").key("content").string(prompt).end_object().end_array();
  return std::move(w).str();
}

// The text in what llama-server answered: of a chat, of a raw completion.
Result<std::string> completion_text(const http::Response& answer, bool is_chat) {
  const auto unusable = [&] {
    return Error(ErrorCode::unavailable,
                 "the model runner answered " + std::to_string(answer.status) + ": " + quoted(answer.body, 300))
        .with_slug("runner_failed");
  };
  json::ParseFault fault;
  const auto document = json::Document::parse(answer.body, fault);
  if (answer.status != 200 || !document) return unusable();
  if (!is_chat) {
    const auto content = document->root().find("content");
    if (!content || !content->string()) return unusable();
    return std::string(*content->string());
  }
  const auto choices = document->root().find("choices");
  if (!choices || choices->items().empty()) return unusable();
  const auto message = choices->items().front().find("message");
  const auto content = message ? message->find("content") : std::nullopt;
  if (!content || !content->string()) return unusable();
  return std::string(*content->string());
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
      log_(log) {}

Models::~Models() = default;

Result<std::vector<ModelInfo>> Models::list() {
  std::vector<ModelInfo> infos;
  const auto chosen = choose();
  for (const model::Model& model : store_.list()) {
    ModelInfo info = info_of(model);
    info.is_default = chosen.ok() && chosen->name == model.name;
    const auto slot = slots_.find(model.name);
    info.loaded = slot != slots_.end() && slot->second->runner && slot->second->runner->is_alive();
    infos.push_back(std::move(info));
  }
  return infos;
}

io::Task<ModelInfo> Models::pull(std::string source, std::string name) {
  if (name.empty()) name = model::name_from_source(source);
  const model::Store store = store_;
  std::function<Result<model::Model>()> work = [store, source, name] { return store.pull(source, name); };
  auto job = pool_.run(std::move(work));
  LMSB_CO_TRY(const model::Model model, co_await std::move(job));
  slots_.erase(name);  // a runner of the older file ends with its last answer
  log_.log(LogLevel::info, "model.pulled", {{"name", name}, {"bytes", model.facts.size.count()}});
  co_return info_of(model);
}

// The configured one, else the only one.
Result<model::Model> Models::choose() const {
  if (!options_.default_model.empty()) return store_.find(options_.default_model);
  auto models = store_.list();
  if (models.size() == 1) return std::move(models.front());
  if (models.empty())
    return Error(ErrorCode::unavailable, "there is no model")
        .with_slug("no_model")
        .with_hint("lm-sandbox model pull FILE|URL brings one");
  std::string names;
  for (const model::Model& model : models) names += (names.empty() ? "" : ", ") + model.name;
  return Error(ErrorCode::unavailable, "there are several models: " + names)
      .with_slug("model_ambiguous")
      .with_hint("name one in the configuration: [model] default");
}

Result<RunnerProgram> Models::find_program() const {
  RunnerProgram program;
  if (options_.llama_server.empty() && images_.find(kLlamaImage).ok()) {
    program.image = kLlamaImage;
    program.path = std::string("/usr/bin/") + kServer;
    return program;
  }
  const std::string path = options_.llama_server.empty() ? find_on_path(kServer) : options_.llama_server;
  if (path.empty() || ::access(path.c_str(), X_OK) != 0)
    return Error(ErrorCode::unavailable, path.empty() ? "there is no llama-server" : path + " cannot be executed")
        .with_slug("no_llama_server")
        .with_hint("build its image: sudo lm-sandbox image build llama");
  program.image = "host";
  program.path = path;
  if (!path.starts_with("/usr/")) {  // /usr is there in image host; anything else is brought along, read-only
    program.bring_directory = std::filesystem::path(path).parent_path().string();
    program.path = "/opt/llama/" + std::filesystem::path(path).filename().string();
  }
  return program;
}

io::Task<std::shared_ptr<Runner>> Models::runner_for(model::Model model) {
  auto& slot = slots_[model.name];
  if (slot && ((slot->runner && !slot->runner->is_alive()) || slot->failure)) slot.reset();
  if (!slot) {
    LMSB_CO_TRY(const RunnerProgram program, find_program());
    RunnerOptions options;
    options.program = program;
    options.mount_desk = options_.mount_desk;
    options.context = options_.context;
    options.threads = options_.threads;
    slot = std::make_shared<Slot>(loop_);
    // A task of its own: the load goes on when the client that asked first goes away.
    io::spawn(loop_, start_runner(this, slot, std::move(options), std::move(model)));
  }
  const std::shared_ptr<Slot> waited = slot;
  while (!waited->runner && !waited->failure) LMSB_CO_CHECK(co_await waited->changed.wait());
  if (waited->failure) co_return *waited->failure;
  co_return waited->runner;
}

io::Always<void> Models::start_runner(Models* self, std::shared_ptr<Slot> slot, RunnerOptions options,
                                      model::Model model) {
  const std::string name = model.name;
  auto runner = co_await Runner::start(self->loop_, self->fleet_, std::move(options), std::move(model));
  if (runner.ok()) {
    slot->runner = *std::move(runner);
    self->log_.log(LogLevel::info, "model.loaded", {{"name", name}});
  } else {
    self->log_.log(LogLevel::warning, "model.load_failed", {{"name", name}, {"error", runner.error().message()}});
    slot->failure = std::move(runner).error();
  }
  slot->changed.notify_all();
}

io::Task<std::string> Models::complete(std::string prompt) {
  LMSB_CO_TRY(const model::Model model, choose());
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
  request.timeout = std::chrono::minutes(10);
  LMSB_CO_TRY(const http::Response answer, co_await runner->ask(std::move(request)));
  co_return completion_text(answer, is_chat);
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
  if (!answer.ok())
    co_return std::move(answer)
        .error()
        .with_slug("upstream_unavailable")
        .with_hint("start it, or set [upstream] base_url and model in the configuration");
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
  slots_.clear();
  co_return;
}

}  // namespace lmsb::control
