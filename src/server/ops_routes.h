#pragma once
// What runs beside the API: health, metrics, the document and its page.
#include "base/metrics.h"
#include "control/control.h"
#include "server/routes.h"

namespace lmsb::server {

// `control` and `metrics` outlive the table.
void add_ops_routes(RouteTable& table, control::Control& control, Metrics& metrics);

// The Content-Security-Policy of a page with one inline <script> and one <style>: both by hash, nothing from elsewhere.
std::string policy_of_page(std::string_view html);

}  // namespace lmsb::server
