// /v1/models: list, one of them, pull. What is told has OpenAI's shape and Anthropic's in one: clients of both ask
// here.
#include <algorithm>
#include <vector>

#include "base/text.h"
#include "json/writer.h"
#include "server/answers.h"
#include "server/event_stream.h"
#include "server/query_fields.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

void write_runners(json::Writer& out, const std::vector<control::RunnerInfo>& runners) {
  out.key("runners").begin_array();
  for (const control::RunnerInfo& runner : runners) {
    out.begin_object().key("state").string(runner.is_loaded ? "loaded" : "loading");
    out.key("work").string(runner.makes_embeddings ? "embeddings" : "answers");
    out.key("requests").unsigned_integer(runner.requests).key("memory_bytes").unsigned_integer(runner.memory.count());
    out.key("pinned").boolean(runner.is_pinned);
    string_or_null(out.key("ends_at"), runner.ends_at);
    out.end_object();
  }
  out.end_array();
}

}  // namespace

void write_model(json::Writer& out, const control::ModelInfo& model) {
  out.begin_object().key("id").string(model.id).key("object").string("model");
  out.key("created").integer(0).key("owned_by").string("lm-sandbox");
  out.key("type").string("model").key("display_name").string(model.id).key("created_at").string("1970-01-01T00:00:00Z");
  out.key("size_bytes").unsigned_integer(model.size_bytes);
  out.key("default").boolean(model.is_default).key("loaded").boolean(model.loaded);
  out.key("demonstration").boolean(model.is_demonstration);
  write_runners(out, model.runners);
  out.end_object();
}

namespace {

using ModelList = std::vector<control::ModelInfo>;

// What a list is asked for, in Anthropic's words; without any, all of it is.
struct Page {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool has_more = false;
};

// Where the model stands that a field of the query names; `otherwise` where there is no such field.
Result<std::size_t> place_of(const ModelList& models, const Query& query, const std::string& field,
                             std::size_t otherwise) {
  const auto id = query.find(field);
  if (id == query.end()) return otherwise;
  const auto model =
      std::find_if(models.begin(), models.end(), [&id](const auto& each) { return each.id == id->second; });
  if (model == models.end()) return invalid_query(field + ": no model is named " + quoted(id->second));
  return static_cast<std::size_t>(model - models.begin());
}

Result<Page> page_of(const ModelList& models, const Query& query) {
  LMSB_CHECK(check_names(query, {"limit", "after_id", "before_id", "beta"}));
  if (query.count("after_id") > 0 && query.count("before_id") > 0)
    return invalid_query("after_id and before_id do not go together", "leave one of them out");
  LMSB_TRY(const std::size_t limit, query.count("limit") > 0 ? page_limit(query) : Result<std::size_t>(models.size()));
  LMSB_TRY(const std::size_t end, place_of(models, query, "before_id", models.size()));
  LMSB_TRY(const std::size_t after, place_of(models, query, "after_id", models.size()));
  const std::size_t begin = query.count("after_id") > 0 ? after + 1 : 0;
  if (query.count("before_id") > 0) return Page{end - std::min(end, limit), end, end > limit};
  return Page{begin, std::min(end, begin + limit), end - begin > limit};
}

io::Task<http::Response> list(Control& control, Call call) {
  LMSB_CO_TRY(const auto models, co_await control.models(std::move(call.who)));
  LMSB_CO_TRY(const Page page, page_of(models, call.request.query));
  json::Writer out;
  out.begin_object().key("object").string("list").key("data").begin_array();
  for (std::size_t i = page.begin; i < page.end; ++i) write_model(out, models[i]);
  out.end_array().key("has_more").boolean(page.has_more);
  string_or_null(out.key("first_id"), page.begin < page.end ? models[page.begin].id : "");
  string_or_null(out.key("last_id"), page.begin < page.end ? models[page.end - 1].id : "");
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> get(Control& control, Call call) {
  LMSB_CO_CHECK(check_names(call.request.query, {"beta"}));
  const std::string& id = call.request.params.at("id");
  LMSB_CO_TRY(const auto models, co_await control.models(std::move(call.who)));
  const auto model = std::find_if(models.begin(), models.end(), [&id](const auto& each) { return each.id == id; });
  if (model == models.end())
    co_return Error(ErrorCode::not_found, "no model is named " + quoted(id))
        .with_slug("model_not_found")
        .with_hint("GET /v1/models lists them; lm-sandbox model pull adds one");
  json::Writer out;
  write_model(out, *model);
  co_return http::Response::json(200, std::move(out).str());
}

const char* to_string(control::PullStep step) {
  switch (step) {
    case control::PullStep::looking: return "looking";
    case control::PullStep::bringing: return "downloading";
    case control::PullStep::checking: return "checking";
  }
  return "";
}

StreamEvent event_of(const control::PullNews& news) {
  json::Writer out;
  out.begin_object().key("type").string(news.model ? "model" : "progress");
  if (news.model) {
    write_model(out.key("model"), *news.model);
  } else {
    out.key("step").string(to_string(news.step)).key("completed_bytes").unsigned_integer(news.done);
    news.whole > 0 ? out.key("total_bytes").unsigned_integer(news.whole) : out.key("total_bytes").null();
  }
  out.end_object();
  return {std::move(out).str(), news.model ? "model" : "progress", ""};
}

// The shape of our errors, and what kind of event it is.
StreamEvent error_event(const Error& error) {
  const http::Response answer = error_answer(Dialect::v1, error);
  return {R"({"type":"error",)" + answer.body.substr(1), "error", ""};
}

bool is_none_yet(const Error& error, io::Deadline deadline) {
  return error.code() == ErrorCode::deadline_exceeded && deadline.passed();
}

// Ends with the model, or with an error.
class PullEvents final : public EventSequence {
 public:
  explicit PullEvents(std::unique_ptr<control::PullStream> pull) : pull_(std::move(pull)) {}

  io::Task<std::optional<StreamEvent>> next(io::Deadline deadline) override {
    if (has_ended_) co_return std::nullopt;
    auto news = co_await pull_->next(deadline);
    // Who waits is asked again, or the daemon stops: then the answer breaks off.
    if (!news.ok() && (is_none_yet(news.error(), deadline) || news.error().code() == ErrorCode::cancelled))
      co_return std::move(news).error();
    has_ended_ = !news.ok() || news->model.has_value();
    if (!news.ok()) co_return error_event(news.error());
    co_return event_of(*news);
  }

 private:
  const std::unique_ptr<control::PullStream> pull_;
  bool has_ended_ = false;
};

io::Task<http::Response> wait_for(std::unique_ptr<control::PullStream> pull) {
  while (true) {
    auto news = co_await pull->next(io::Deadline::never());
    if (!news.ok() && news.error().slug() == "model_no_room") co_return error_answer(Dialect::v1, 507, news.error());
    if (!news.ok()) co_return std::move(news).error();
    if (!news->model) continue;
    json::Writer out;
    write_model(out, *news->model);
    co_return http::Response::json(201, std::move(out).str());
  }
}

io::Task<http::Response> pull(Control& control, Call call) {
  control::PullModel wanted;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    reader.string("source", wanted.source, json::Need::required);
    reader.string("name", wanted.name);
    reader.string("handle", wanted.handle);
    std::string token;
    if (reader.string("token", token)) wanted.token = Secret(std::move(token));
  });
  if (refusal) co_return *std::move(refusal);
  const AnswerFormat format = wanted_format(call.request.headers, AnswerFormat::json);
  LMSB_CO_TRY(auto pull, co_await control.pull_model(std::move(call.who), std::move(wanted)));
  if (format == AnswerFormat::json) co_return co_await wait_for(std::move(pull));
  http::Response response = event_answer(std::make_unique<PullEvents>(std::move(pull)), format);
  response.is_endless = true;
  co_return response;
}

}  // namespace

void add_model_list_routes(RouteTable& table, Control& control) {
  table.add_asking("GET", "/v1/models", [&control](Call call) { return list(control, std::move(call)); });
  table.add_asking("GET", "/v1/models/{id}", [&control](Call call) { return get(control, std::move(call)); });
}

void add_model_routes(RouteTable& table, Control& control) {
  add_model_list_routes(table, control);
  add_model_detail_routes(table, control);
  add_model_loading_routes(table, control);
  table.add("POST", "/v1/models/pull", [&control](Call call) { return pull(control, std::move(call)); });
}

}  // namespace lmsb::server
