// GET /v1/info: what this daemon and this machine offer.
#include "json/writer.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

void write_memory(json::Writer& out, const control::Info& info) {
  out.key("memory").begin_object().key("budget_bytes").unsigned_integer(info.memory_budget.count());
  out.key("held_bytes").unsigned_integer(info.memory_held.count());
  out.key("overcommit").number(info.memory_overcommit).end_object();
}

void write_counts(json::Writer& out, const control::Info& info) {
  out.key("sandboxes").unsigned_integer(info.sandboxes).key("prepared").unsigned_integer(info.prepared);
  out.key("running").unsigned_integer(info.running).key("waiting").unsigned_integer(info.waiting);
}

void write_devices(json::Writer& out, const control::Info& info) {
  out.key("devices").begin_array();
  for (const control::DeviceInfo& device : info.devices) {
    out.begin_object().key("name").string(device.name).key("usable").boolean(device.fault.empty());
    string_or_null(out.key("fault"), device.fault);
    out.end_object();
  }
  out.end_array();
  write_texts(out.key("device_faults"), info.device_faults);
}

io::Task<http::Response> show(Control& control, const Previews& previews, Call) {
  const control::Info info = control.info();
  json::Writer out;
  out.begin_object().key("name").string("lm-sandbox").key("version").string(info.version);
  out.key("ready").boolean(control.health().ready).key("runtime").string(info.runtime);
  string_or_null(out.key("url"), previews.local_url());
  string_or_null(out.key("default_image"), info.default_image);
  write_texts(out.key("isolation"), info.isolation);
  write_texts(out.key("weaker"), info.weaker);
  write_devices(out, info);
  write_counts(out, info);
  write_memory(out, info);
  out.end_object();
  co_return http::Response::json(200, std::move(out).str());
}

}  // namespace

void add_info_routes(RouteTable& table, Control& control, const Previews& previews) {
  table.add_early("GET", "/v1/info",
                  [&control, &previews](Call call) { return show(control, previews, std::move(call)); });
}

}  // namespace lmsb::server
