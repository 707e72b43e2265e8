// /v1/models/{id}/details, and DELETE of /v1/models/{id} (OpenAI's shape).
#include "json/writer.h"
#include "server/answers.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

void number_or_null(json::Writer& out, std::uint64_t number) {
  if (number == 0) {
    out.null();
  } else {
    out.unsigned_integer(number);
  }
}

void write_layers(json::Writer& out, const model::GgufFacts& facts) {
  std::uint64_t windowed = 0;
  out.key("heads").begin_array();
  for (const model::GgufLayer& layer : facts.layers) out.unsigned_integer(layer.heads);
  out.end_array().key("kv_heads").begin_array();
  for (const model::GgufLayer& layer : facts.layers) {
    out.unsigned_integer(layer.kv_heads);
    windowed += layer.is_windowed ? 1 : 0;
  }
  out.end_array();
  number_or_null(out.key("key_length"), facts.key_length);
  number_or_null(out.key("value_length"), facts.value_length);
  number_or_null(out.key("sliding_window"), facts.window);
  out.key("windowed_layers").unsigned_integer(windowed);
}

void write_shape(json::Writer& out, const model::GgufFacts& facts) {
  number_or_null(out.key("context_length"), facts.context);
  number_or_null(out.key("embedding_length"), facts.width);
  number_or_null(out.key("feed_forward_length"), facts.forward);
  number_or_null(out.key("vocabulary"), facts.vocabulary);
  out.key("layers").unsigned_integer(facts.layers.size());
  write_layers(out, facts);
  out.key("experts").unsigned_integer(facts.experts).key("experts_used").unsigned_integer(facts.experts_used);
}

void write_file(json::Writer& out, const model::GgufFacts& facts) {
  out.key("format_version").unsigned_integer(facts.version);
  out.key("size_bytes").unsigned_integer(facts.size.count());
  out.key("weights_bytes").unsigned_integer(facts.weights.count());
  out.key("tensors").unsigned_integer(facts.tensors);
  if (facts.parts > 1) {
    out.key("part").begin_object().key("number").unsigned_integer(std::uint64_t{facts.part} + 1);
    out.key("of").unsigned_integer(facts.parts).end_object();
  } else {
    out.key("part").null();
  }
}

void write_memory(json::Writer& out, const std::vector<control::ModelMemory>& memory) {
  out.key("memory").begin_array();
  for (const control::ModelMemory& row : memory) {
    out.begin_object().key("context").unsigned_integer(row.context);
    out.key("weights_bytes").unsigned_integer(row.estimate.weights.count());
    out.key("cache_bytes").begin_object().key("f16").unsigned_integer(row.estimate.cache.count());
    out.key("q8_0").unsigned_integer(row.q8_0_cache.count());
    out.key("q4_0").unsigned_integer(row.q4_0_cache.count()).end_object();
    out.key("compute_bytes").unsigned_integer(row.estimate.compute.count());
    out.key("server_bytes").unsigned_integer(row.estimate.server.count());
    out.key("total_bytes").unsigned_integer(row.estimate.total().count()).end_object();
  }
  out.end_array();
}

void write_details(json::Writer& out, const control::ModelDetails& details) {
  const model::GgufFacts& facts = details.facts;
  out.begin_object().key("id").string(details.id);
  out.key("loaded").boolean(details.loaded).key("demonstration").boolean(details.is_demonstration);
  out.key("kind").string(to_string(facts.kind));
  string_or_null(out.key("name"), facts.name);
  string_or_null(out.key("architecture"), facts.architecture);
  number_or_null(out.key("parameters"), facts.parameters);
  string_or_null(out.key("size_label"), facts.size_label);
  string_or_null(out.key("quantisation"), facts.quantisation);
  string_or_null(out.key("license"), facts.license);
  string_or_null(out.key("tokenizer"), facts.tokenizer);
  out.key("has_chat_template").boolean(facts.has_chat_template);
  string_or_null(out.key("chat_template"), facts.chat_template);
  write_shape(out, facts);
  write_file(out, facts);
  write_memory(out, details.memory);
  out.end_object();
}

io::Task<http::Response> show(Control& control, Call call) {
  std::string id = call.request.params.at("id");
  LMSB_CO_TRY(const auto details, co_await control.show_model(std::move(call.who), std::move(id)));
  json::Writer out;
  write_details(out, details);
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> remove(Control& control, Call call) {
  const std::string id = call.request.params.at("id");
  std::string name = id;
  LMSB_CO_CHECK(co_await control.remove_model(std::move(call.who), std::move(name)));
  json::Writer out;
  out.begin_object().key("id").string(id).key("object").string("model").key("deleted").boolean(true).end_object();
  co_return http::Response::json(200, std::move(out).str());
}

}  // namespace

void add_model_detail_routes(RouteTable& table, Control& control) {
  table.add("GET", "/v1/models/{id}/details", [&control](Call call) { return show(control, std::move(call)); });
  table.add("DELETE", "/v1/models/{id}", [&control](Call call) { return remove(control, std::move(call)); });
}

}  // namespace lmsb::server
