// POST /v1/run: a sandbox for one command, with files in and out.
#include "base/ids.h"
#include "server/exec_result.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

struct RunRequest {
  RunRequest() = default;
  control::OneShot one_shot;
  bool dry_run = false;
};

void read_run(json::ObjectReader& reader, RunRequest& out) {
  read_command(reader, out.one_shot.command);
  reader.string("image", out.one_shot.image);
  read_limits(reader, out.one_shot.limits);
  read_runtime_and_egress(reader);
  read_mounts(reader, out.one_shot.mounts);
  read_files(reader, out.one_shot.files);
  reader.strings("collect", out.one_shot.collect);
  reader.boolean("dry_run", out.dry_run);
  // A request to create may be sent as it is; nobody can name or list a sandbox that is gone with the answer.
  std::string name;
  std::map<std::string, std::string> labels;
  reader.string("name", name);
  reader.string_map("labels", labels);
}

http::Response plan_answer(const std::string& plan) {
  json::Writer out;
  out.begin_object().key("plan").string(plan).end_object();
  return http::Response::json(200, std::move(out).str());
}

http::Response run_answer(control::OneShotResult result) {
  json::Writer out;
  out.begin_object();
  write_exec_fields(out, std::move(result.exec));
  out.key("files").begin_object();
  for (const control::File& file : result.files) write_data(out.key(file.path), file.data);
  out.end_object().end_object();
  return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> run_once(Control& control, Call call) {
  RunRequest request;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) { read_run(reader, request); });
  if (refusal) co_return *std::move(refusal);
  call.request.body.clear();
  if (request.dry_run) {
    LMSB_CO_TRY(const std::string plan, control.plan_text(request.one_shot));
    co_return plan_answer(plan);
  }
  LMSB_CO_TRY(auto result, co_await control.run_once(std::move(call.who), std::move(request.one_shot)));
  co_return run_answer(std::move(result));
}

}  // namespace

void add_run_routes(RouteTable& table, Control& control) {
  table.add("POST", "/v1/run", [&control](Call call) { return run_once(control, std::move(call)); });
}

}  // namespace lmsb::server
