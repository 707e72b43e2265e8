// POST and GET /v1/volumes; GET, PATCH and DELETE /v1/volumes/{id}.
#include <utility>

#include "control/names.h"
#include "control/volume_service.h"
#include "server/answers.h"
#include "server/once.h"
#include "server/query_fields.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::VolumeInfo;

constexpr const char* kMade = "/v1/volumes/";  // and an id

// `held` is told of one alone: it is asked for of the launcher.
void write_volume(json::Writer& out, const VolumeInfo& info, std::optional<std::uint64_t> held = {}) {
  out.begin_object().key("id").string(info.id);
  string_or_null(out.key("name"), info.name);
  out.key("state").string(info.is_lost ? "lost" : "ready");
  out.key("created_at").string(info.created_at);
  out.key("size_bytes").unsigned_integer(info.size.count());
  if (held) out.key("held_bytes").unsigned_integer(*held);
  out.key("labels").begin_object();
  for (const auto& [key, value] : info.labels) out.key(key).string(value);
  out.end_object();
  write_texts(out.key("used_by"), info.used_by);
  out.end_object();
}

std::string volume_text(const VolumeInfo& info, std::optional<std::uint64_t> held) {
  json::Writer out;
  write_volume(out, info, held);
  return std::move(out).str();
}

std::string volume_text(const VolumeInfo& info) { return volume_text(info, std::nullopt); }

io::Task<http::Response> create(Control& control, Call call) {
  control::CreateVolume request;
  auto refusal = read_body(std::exchange(call.request.body, {}), [&request](json::ObjectReader& reader) {
    reader.string("name", request.name);
    read_bytes(reader, "size_bytes", request.size);
    reader.string_map("labels", request.labels);
  });
  if (refusal) co_return *std::move(refusal);
  request.promise = {call.promised, volume_text};
  LMSB_CO_TRY(const auto info, co_await control.volumes().create(std::move(call.who), std::move(request)));
  co_return made_answer(volume_text(info), kMade + info.id);
}

io::Task<http::Response> list(Control& control, Call call) {
  Query& query = call.request.query;
  LMSB_CO_CHECK(check_names(query, {"label", "limit", "cursor"}));
  LMSB_CO_TRY(const std::size_t limit, page_limit(query));
  LMSB_CO_TRY(const auto labels, labels_of(query));
  LMSB_CO_TRY(const std::string cursor, page_cursor(query, control::kVolumePrefix));
  LMSB_CO_TRY(const auto page, control.volumes().list(call.who, labels, limit, cursor));
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const VolumeInfo& info : page.data) write_volume(out, info);
  string_or_null(out.end_array().key("next_cursor"), page.next_cursor.value_or(""));
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> get(Control& control, Call call) {
  LMSB_CO_TRY(const auto info, control.volumes().get(call.who, call.request.params["id"]));
  if (info.is_lost) co_return http::Response::json(200, volume_text(info));
  LMSB_CO_TRY(const auto held, co_await control.volumes().held_bytes(std::move(call.who), info.id));
  co_return http::Response::json(200, volume_text(info, held));
}

io::Task<http::Response> update(Control& control, Call call) {
  control::UpdateVolume changes;
  auto refusal = read_body(call.request.body, [&changes](json::ObjectReader& reader) {
    read_bytes(reader, "size_bytes", changes.size);
    read_label_changes(reader, changes.labels);
  });
  if (refusal) co_return *std::move(refusal);
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(const auto info,
              co_await control.volumes().update(std::move(call.who), std::move(id), std::move(changes)));
  co_return http::Response::json(200, volume_text(info));
}

io::Task<http::Response> remove(Control& control, Call call) {
  std::string id = call.request.params["id"];
  LMSB_CO_CHECK(co_await control.volumes().remove(std::move(call.who), std::move(id)));
  co_return http::Response::no_content();
}

}  // namespace

void add_volume_routes(RouteTable& table, Control& control) {
  table.add_once("/v1/volumes", std::nullopt,
                 once(control.answers(), kMade, [&control](Call call) { return create(control, std::move(call)); }));
  table.add_asking("GET", "/v1/volumes", [&control](Call call) { return list(control, std::move(call)); });
  table.add("GET", "/v1/volumes/{id}", [&control](Call call) { return get(control, std::move(call)); });
  table.add("PATCH", "/v1/volumes/{id}", [&control](Call call) { return update(control, std::move(call)); });
  table.add("DELETE", "/v1/volumes/{id}", [&control](Call call) { return remove(control, std::move(call)); });
}

}  // namespace lmsb::server
