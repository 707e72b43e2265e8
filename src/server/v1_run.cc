// POST /v1/run: a sandbox for one command, with files in and out.
#include "base/ids.h"
#include "server/event_stream.h"
#include "server/exec_result.h"
#include "server/process_events.h"
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
  read_word(reader, "image", out.one_shot.image);
  read_limits(reader, out.one_shot.limits);
  read_runtime(reader);
  read_egress(reader, out.one_shot.egress);
  read_profile(reader, out.one_shot.profile);
  read_models(reader, out.one_shot.models);
  read_devices(reader, out.one_shot.devices);
  read_mounts(reader, out.one_shot.mounts);
  read_volumes(reader, out.one_shot.volumes);
  read_files(reader, out.one_shot.files);
  reader.strings("collect", out.one_shot.collect);
  reader.boolean("dry_run", out.dry_run);
  refuse_for_now(reader, "pty", "a sandbox that is gone with its command has no terminal: create one and exec in it");
  bool detach = false;
  if (reader.boolean("detach", detach) && detach)
    reader.refuse("detach", "a sandbox that is gone with its command's end is waited for: create one and exec in it");
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
  for (const control::File& file : result.collected.files) write_data(out.key(file.path), file.data);
  out.end_object().key("left_out").begin_object();
  for (const auto& [path, why] : result.collected.left_out) {
    out.key(path).begin_object().key("code").string(why.slug()).key("message").string(why.message()).end_object();
  }
  out.end_object().end_object();
  return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> run_once(Control& control, Call call) {
  RunRequest request;
  const AnswerFormat format = wanted_format(call.request.headers, AnswerFormat::json);
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    read_run(reader, request);
    if (format != AnswerFormat::json && !request.one_shot.collect.empty())
      reader.refuse("collect", "files come with a whole answer: leave Accept out, or collect");
  });
  if (refusal) co_return *std::move(refusal);
  call.request.body.clear();
  if (request.dry_run) {
    LMSB_CO_TRY(const std::string plan, control.plan_text(call.who, request.one_shot));
    co_return plan_answer(plan);
  }
  if (format != AnswerFormat::json) {
    LMSB_CO_TRY(auto stream, co_await control.follow_once(std::move(call.who), std::move(request.one_shot)));
    co_return event_answer(std::make_unique<CommandEvents>(std::move(stream)), format);
  }
  LMSB_CO_TRY(auto result, co_await control.run_once(std::move(call.who), std::move(request.one_shot)));
  co_return run_answer(std::move(result));
}

}  // namespace

void add_run_routes(RouteTable& table, Control& control) {
  table.add("POST", "/v1/run", [&control](Call call) { return run_once(control, std::move(call)); });
}

}  // namespace lmsb::server
