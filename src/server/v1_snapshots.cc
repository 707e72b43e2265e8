// POST /v1/sandboxes/{id}/snapshot, .../fork, .../rollback; GET /v1/snapshots, GET and DELETE /v1/snapshots/{id};
// GET /v1/snapshots/{id}/export, POST /v1/snapshots/import.
#include <utility>

#include "control/names.h"
#include "control/snapshot_service.h"
#include "server/answers.h"
#include "server/file_headers.h"
#include "server/once.h"
#include "server/query_fields.h"
#include "server/sandbox_fields.h"
#include "server/stream_body.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::SnapshotInfo;

constexpr const char* kMade = "/v1/snapshots/";  // and an id
constexpr std::string_view kFileType = "application/vnd.lm-sandbox.snapshot+zstd";
constexpr Bytes kMaxFile = Bytes::GiB(1024);  // the snapshot's limit of disk is the bound that counts

void write_snapshot(json::Writer& out, const SnapshotInfo& info) {
  out.begin_object().key("id").string(info.id);
  string_or_null(out.key("name"), info.name);
  out.key("sandbox_id").string(info.sandbox_id);
  out.key("image").string(info.image).key("image_digest").string(info.image_digest);
  out.key("created_at").string(info.created_at);
  if (info.frozen) out.key("frozen_ms").number(static_cast<double>(info.frozen->count()) / 1000.0);
  out.end_object();
}

std::string snapshot_text(const SnapshotInfo& info) {
  json::Writer out;
  write_snapshot(out, info);
  return std::move(out).str();
}

io::Task<http::Response> take(Control& control, Call call) {
  std::string name;
  if (!call.request.body.empty()) {
    const auto read = [&name](json::ObjectReader& reader) { reader.string("name", name); };
    auto refusal = read_body(std::exchange(call.request.body, {}), read);
    if (refusal) co_return *std::move(refusal);
  }
  std::string id = call.request.params["id"];
  control::SnapshotPromise promise(std::move(call.promised), snapshot_text);
  LMSB_CO_TRY(const auto info, co_await control.snapshots().take(std::move(call.who), std::move(id), std::move(name),
                                                                 std::move(promise)));
  co_return made_answer(snapshot_text(info), kMade + info.id);
}

std::string forks_text(const std::vector<control::SandboxInfo>& made) {
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const control::SandboxInfo& info : made) write_sandbox(out, info);
  out.end_array().end_object();
  return std::move(out).str();
}

io::Task<http::Response> fork(Control& control, Call call) {
  std::int64_t count = 1;
  if (!call.request.body.empty()) {
    auto refusal = read_body(std::exchange(call.request.body, {}), [&count](json::ObjectReader& reader) {
      reader.integer("count", count, 1, control::SnapshotService::kMaxForks);
    });
    if (refusal) co_return *std::move(refusal);
  }
  std::string id = call.request.params["id"];
  const auto number = static_cast<std::size_t>(count);
  control::ForksPromise promise(std::move(call.promised), forks_text);
  LMSB_CO_TRY(const auto made,
              co_await control.snapshots().fork(std::move(call.who), std::move(id), number, std::move(promise)));
  co_return http::Response::json(201, forks_text(made));
}

io::Task<http::Response> roll_back(Control& control, Call call) {
  std::string snapshot;
  auto refusal = read_body(call.request.body, [&snapshot](json::ObjectReader& reader) {
    if (!reader.string("snapshot", snapshot) || snapshot.empty())
      reader.refuse("snapshot", "must be the id or the name of a snapshot");
  });
  if (refusal) co_return *std::move(refusal);
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(const auto info,
              co_await control.snapshots().roll_back(std::move(call.who), std::move(id), std::move(snapshot)));
  co_return http::Response::json(200, sandbox_text(info));
}

io::Task<http::Response> list(Control& control, Call call) {
  Query& query = call.request.query;
  LMSB_CO_CHECK(check_names(query, {"sandbox", "limit", "cursor"}));
  LMSB_CO_TRY(const std::size_t limit, page_limit(query));
  LMSB_CO_TRY(const std::string cursor, page_cursor(query, control::kSnapshotPrefix));
  std::string sandbox;
  if (query.contains("sandbox")) {  // by the id of one that may be gone, too
    sandbox = query["sandbox"];
    const auto found = control.get(call.who, sandbox);
    const bool may_be_gone = SandboxId::parse(sandbox) && !found.ok() && found.error().code() == ErrorCode::not_found;
    if (!found.ok() && !may_be_gone) co_return found.error();
    if (found.ok()) sandbox = found->id;
  }
  LMSB_CO_TRY(const auto page, control.snapshots().list(call.who, sandbox, limit, cursor));
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const SnapshotInfo& info : page.data) write_snapshot(out, info);
  string_or_null(out.end_array().key("next_cursor"), page.next_cursor.value_or(""));
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> get(Control& control, Call call) {
  LMSB_CO_TRY(const auto info, control.snapshots().get(call.who, call.request.params["id"]));
  co_return http::Response::json(200, snapshot_text(info));
}

io::Task<http::Response> remove(Control& control, Call call) {
  std::string id = call.request.params["id"];
  LMSB_CO_CHECK(co_await control.snapshots().remove(std::move(call.who), std::move(id)));
  co_return http::Response::no_content();
}

io::Task<http::Response> export_file(Control& control, Call call) {
  const std::string id = call.request.params["id"];
  LMSB_CO_TRY(auto file, co_await control.snapshots().export_file(std::move(call.who), id));
  http::Response response;
  set_download_headers(response, id + ".lmsnap");
  response.headers.set("Content-Type", std::string(kFileType));
  response.source = std::make_shared<StreamBody>(std::move(file));
  co_return response;
}

io::Task<http::Response> import_file(Control& control, Call call) {
  Query& query = call.request.query;
  LMSB_CO_CHECK(check_names(query, {"name", "disk_bytes"}));
  control::ImportSnapshot request;
  request.name = query["name"];
  LMSB_CO_TRY(const std::uint64_t disk, number_of(query, "disk_bytes", 0, kMaxFile.count()));
  if (query.contains("disk_bytes")) request.disk_bytes = Bytes(disk);
  request.promise = {std::move(call.promised), snapshot_text};
  LMSB_CO_TRY(const auto info,
              co_await control.snapshots().import_file(std::move(call.who), std::move(request), call.request.incoming));
  co_return made_answer(snapshot_text(info), kMade + info.id);
}

}  // namespace

void add_snapshot_routes(RouteTable& table, Control& control) {
  table.add_once("/v1/sandboxes/{id}/snapshot", std::nullopt,
                 once(control.answers(), kMade, [&control](Call call) { return take(control, std::move(call)); }));
  table.add_once("/v1/sandboxes/{id}/fork", std::nullopt,
                 once(control.answers(), "", [&control](Call call) { return fork(control, std::move(call)); }));
  table.add("POST", "/v1/sandboxes/{id}/rollback",
            [&control](Call call) { return roll_back(control, std::move(call)); });
  table.add_asking("GET", "/v1/snapshots", [&control](Call call) { return list(control, std::move(call)); });
  table.add("GET", "/v1/snapshots/{id}", [&control](Call call) { return get(control, std::move(call)); });
  table.add("DELETE", "/v1/snapshots/{id}", [&control](Call call) { return remove(control, std::move(call)); });
  table.add("GET", "/v1/snapshots/{id}/export",
            [&control](Call call) { return export_file(control, std::move(call)); });
  table.add_once("/v1/snapshots/import", kMaxFile, once(control.answers(), kMade, [&control](Call call) {
                   return import_file(control, std::move(call));
                 }));
}

}  // namespace lmsb::server
