// GET /v1/ledger: whether kernel, store and database agree.
#include "json/writer.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;

io::Task<http::Response> show(Control& control, Call call) {
  LMSB_CO_TRY(const auto report, co_await control.ledger(std::move(call.who)));
  json::Writer out;
  out.begin_object().key("agrees").boolean(report.findings.empty());
  out.key("sandboxes").unsigned_integer(report.sandboxes).key("disks").unsigned_integer(report.disks);
  out.key("snapshots").unsigned_integer(report.snapshots);
  out.key("volumes").unsigned_integer(report.volumes).key("findings").begin_array();
  for (const control::LedgerFinding& finding : report.findings) {
    out.begin_object().key("kind").string(finding.kind).key("id").string(finding.id);
    out.key("what").string(finding.what).end_object();
  }
  out.end_array().end_object();
  co_return http::Response::json(200, std::move(out).str());
}

}  // namespace

void add_ledger_routes(RouteTable& table, Control& control) {
  table.add("GET", "/v1/ledger", [&control](Call call) { return show(control, std::move(call)); });
}

}  // namespace lmsb::server
