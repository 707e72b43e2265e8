// POST and GET /v1/keys; DELETE /v1/keys/{id}.
#include <cmath>
#include <utility>

#include "control/key_service.h"
#include "server/answers.h"
#include "server/query_fields.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::KeyInfo;

constexpr std::int64_t kMostCount = 1'000'000;
constexpr double kMostCpus = 1'000'000;
constexpr std::int64_t kMostSeconds = std::int64_t{1} << 40U;  // control says what is too long

void read_quota(json::ObjectReader& reader, control::Quota& out) {
  reader.object("quota", [&out](json::ObjectReader& fields) {
    std::int64_t requests = 0;
    if (fields.integer("requests_per_minute", requests, 1, kMostCount))
      out.requests_per_minute = static_cast<std::uint32_t>(requests);
    std::int64_t sandboxes = 0;
    if (fields.integer("sandboxes", sandboxes, 1, kMostCount)) out.sandboxes = static_cast<std::uint32_t>(sandboxes);
    std::optional<Bytes> octets;
    read_bytes(fields, "memory_bytes", octets);
    out.memory = octets.value_or(Bytes());
    octets.reset();
    read_bytes(fields, "disk_bytes", octets);
    out.disk = octets.value_or(Bytes());
    double cpus = 0;
    if (fields.number("cpus", cpus, 0.001, kMostCpus))
      out.cpu_millis = static_cast<std::uint32_t>(std::lround(cpus * 1000));
    fields.refuse_others();
  });
}

void write_number_or_null(json::Writer& out, std::uint64_t number) {
  if (number == 0) {
    out.null();
  } else {
    out.unsigned_integer(number);
  }
}

// `secret`: of one that has just been made.
void write_key(json::Writer& out, const KeyInfo& info, const Secret* secret = nullptr) {
  out.begin_object().key("id").string(info.id);
  string_or_null(out.key("name"), info.name);
  if (secret != nullptr) out.key("key").string(secret->reveal());
  out.key("scopes").begin_array();
  for (const control::Operation scope : info.scopes) out.string(to_string(scope));
  out.end_array().key("labels").begin_object();
  for (const auto& [name, value] : info.labels) out.key(name).string(value);
  out.end_object().key("quota").begin_object();
  write_number_or_null(out.key("requests_per_minute"), info.quota.requests_per_minute);
  write_number_or_null(out.key("sandboxes"), info.quota.sandboxes);
  write_number_or_null(out.key("memory_bytes"), info.quota.memory.count());
  out.key("cpus");
  if (info.quota.cpu_millis == 0) {
    out.null();
  } else {
    out.number(info.quota.cpu_millis / 1000.0);
  }
  write_number_or_null(out.key("disk_bytes"), info.quota.disk.count());
  out.end_object();
  out.key("created_at").string(info.created_at).key("created_by").string(info.created_by);
  string_or_null(out.key("expires_at"), info.expires_at.value_or(""));
  string_or_null(out.key("used_at"), info.used_at.value_or(""));
  out.end_object();
}

io::Task<http::Response> create(Control& control, Call call) {
  control::CreateKey request;
  auto refusal = read_body(call.request.body, [&request](json::ObjectReader& reader) {
    reader.string("name", request.name);
    reader.strings("scopes", request.scopes);
    reader.string_map("labels", request.labels);
    read_quota(reader, request.quota);
    std::int64_t seconds = 0;
    if (reader.integer("expires_in_s", seconds, 1, kMostSeconds)) request.life = std::chrono::seconds(seconds);
  });
  if (refusal) co_return *std::move(refusal);
  LMSB_CO_TRY(const auto made, co_await control.keys().create(std::move(call.who), std::move(request)));
  json::Writer out;
  write_key(out, made.info, &made.key);
  http::Response response = made_answer(std::move(out).str(), "/v1/keys/" + made.info.id);
  response.headers.set("Cache-Control", "no-store");
  co_return response;
}

io::Task<http::Response> list(Control& control, Call call) {
  Query& query = call.request.query;
  LMSB_CO_CHECK(check_names(query, {"limit", "cursor"}));
  LMSB_CO_TRY(const std::size_t limit, page_limit(query));
  LMSB_CO_TRY(const std::string cursor, page_cursor(query, control::kKeyPrefix));
  LMSB_CO_TRY(const auto page, control.keys().list(call.who, limit, cursor));
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const KeyInfo& info : page.data) write_key(out, info);
  string_or_null(out.end_array().key("next_cursor"), page.next_cursor.value_or(""));
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> remove(Control& control, Call call) {
  std::string id = call.request.params["id"];
  LMSB_CO_CHECK(co_await control.keys().remove(std::move(call.who), std::move(id)));
  co_return http::Response::no_content();
}

}  // namespace

// Not by Idempotency-Key: what is remembered of an answer would be the key.
void add_key_routes(RouteTable& table, Control& control) {
  table.add("POST", "/v1/keys", [&control](Call call) { return create(control, std::move(call)); });
  table.add_asking("GET", "/v1/keys", [&control](Call call) { return list(control, std::move(call)); });
  table.add("DELETE", "/v1/keys/{id}", [&control](Call call) { return remove(control, std::move(call)); });
}

}  // namespace lmsb::server
